"""Pure functions of bytes, arrays, seeds and times. No network, disk, clock or environment."""
