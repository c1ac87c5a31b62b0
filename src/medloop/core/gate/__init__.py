"""Compares models on held-out images and decides which may serve."""
