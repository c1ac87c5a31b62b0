"""The bars of the learning core."""
