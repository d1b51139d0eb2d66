"""Encodings of a box relative to a prior."""
