"""Streamlit: pages hold widgets, no logic."""
