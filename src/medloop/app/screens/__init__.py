"""One page a file: widgets, no logic."""
