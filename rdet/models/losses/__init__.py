"""Losses, and the normalizers that their sums are divided by."""
