"""External systems, one per file. Stores translate their library's errors; they hold no policy."""
