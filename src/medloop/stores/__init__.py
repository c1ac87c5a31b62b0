"""The outside world, one system a file. Stores translate their library's errors and hold no policy."""
