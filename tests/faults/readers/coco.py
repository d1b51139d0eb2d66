"""COCO annotation files."""

READERS = []
