"""Hooks that leave pictures and tables of a run in its work dir."""
