"""Losses, and what their sums are divided by."""
