"""Labelled data sets: layout, groups, splits, training sets."""
