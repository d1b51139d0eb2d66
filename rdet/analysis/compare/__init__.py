"""Comparisons: detectors that differ in a part or two, each trained with the same seeds."""
