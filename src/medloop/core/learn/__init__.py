"""The learning core, from arrays to a model file. The only package that imports torch."""
