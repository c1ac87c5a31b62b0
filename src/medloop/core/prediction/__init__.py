"""The model file: its contract, its answers and their formats."""
