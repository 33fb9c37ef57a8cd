"""Losses that add: `softmax() + 0.1 * align(...)` is an objective too."""
