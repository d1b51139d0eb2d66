"""A record for the tests of transforms."""

import numpy as np

from rdet.datasets.transforms import LoadImageFromFile

# Boxes of the record below; the third is a crowd.
BOXES = [[10, 20, 60, 50], [0, 0, 120, 90], [100.5, 70, 120, 90]]


def record(boxes=BOXES, size=(90, 120)) -> dict:
    """A record as LoadImageFromFile leaves it."""
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    results = {
        "img": np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8),
        "gt_bboxes": boxes,
        "gt_bboxes_labels": np.arange(len(boxes)),
        "gt_ignore_flags": np.arange(len(boxes)) == 2,
    }
    return LoadImageFromFile()(results)
