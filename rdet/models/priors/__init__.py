"""Generators of the boxes that predictions are relative to."""
