"""Statistics of recent answers: drift, and the watch over a promotion."""
