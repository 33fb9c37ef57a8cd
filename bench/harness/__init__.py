"""Runs us and a peer side by side, and writes down what came of it."""
