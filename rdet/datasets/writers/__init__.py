"""Writes data sets in COCO's, YOLO's and Pascal VOC's formats."""

from rdet.datasets.writers.convert import TARGETS, convert_data

__all__ = ["TARGETS", "convert_data"]
