"""Steps of the loop, one per file: gather, decide (core), apply. Each is safe to run twice."""
