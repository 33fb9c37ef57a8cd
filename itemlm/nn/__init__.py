"""Leaf layers that models are composed of."""
