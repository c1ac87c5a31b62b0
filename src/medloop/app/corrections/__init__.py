"""The My corrections page."""
