"""Boxes that are too small are left out."""

import numpy as np
import pytest
from transform_records import record

from rdet.datasets.transforms import FilterAnnotations


@pytest.mark.parametrize(
    ("size", "kept"), [((1, 1), [0, 1, 2]), ((10, 1), [0, 2]), ((1, 10), [1, 2]), ((20, 20), [2]), ((99, 99), [])]
)
def test_boxes_exceed_the_limit(size, kept):
    results = FilterAnnotations(size)(record([[0, 0, 20, 10], [0, 0, 10, 20], [0, 0, 21, 21]]))
    assert results["gt_bboxes_labels"].tolist() == kept
    assert results["gt_bboxes"].shape == (len(kept), 4)
    assert results["gt_ignore_flags"].tolist() == [label == 2 for label in kept]


def test_no_boxes():
    assert len(FilterAnnotations()(record([]))["gt_bboxes"]) == 0
    results = {"img": np.zeros((2, 2, 3), dtype=np.uint8)}
    assert FilterAnnotations()(results) is results
