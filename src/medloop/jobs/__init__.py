"""One file a step of the loop: gather, decide (core), apply. Each step is safe to run twice."""
