"""Whole detectors: they assemble the parts and run them."""
