"""Weights of other projects' detectors in rdet's."""
