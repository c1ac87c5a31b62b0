"""Measurements: one command each, with its result in RESULTS.md."""
