"""The pure centre: bytes, arrays, seeds and times in, values out. No network, disk, clock or environment."""
