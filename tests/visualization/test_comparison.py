"""What is missed and what is false is told by COCO's rules."""

import numpy as np
import pytest

from rdet.visualization.comparison import match_by_class
from rdet.visualization.draw import draw_comparison

NONE = {"bboxes": [], "labels": [], "scores": []}


def test_the_best_detection_of_the_class_finds_an_object_once():
    truth = {"bboxes": [[0, 0, 100, 100], [200, 0, 300, 100]], "labels": [0, 1], "ignored": [[0, 300, 200, 400]]}
    found = {
        "bboxes": [
            [0, 0, 100, 60],  # IoU 0.6, but another is better
            [0, 0, 100, 90],
            [200, 0, 300, 100],  # of another class
            [10, 310, 60, 360],  # in the region
            [150, 310, 300, 360],  # a third of it in the region
            [0, 0, 49, 100],  # IoU 0.49
        ],
        "labels": [0, 0, 0, 1, 1, 0],
        "scores": [0.5, 0.9, 0.8, 0.7, 0.6, 0.95],
    }
    outcome = match_by_class(truth, found)
    assert outcome.found.tolist() == [True, False]
    assert outcome.right.tolist() == [False, True, False, False, False, False]
    assert outcome.ignored.tolist() == [False, False, False, True, False, False]


@pytest.mark.parametrize("truth", [NONE, {"bboxes": [[5, 5, 50, 50]], "labels": [0]}])
@pytest.mark.parametrize("found", [NONE, {"bboxes": [[5, 5, 5, 5]], "labels": [0], "scores": [0.9]}])
@pytest.mark.parametrize("shape", [(120, 100), (120, 100, 1), (120, 100, 5)])
def test_any_image_with_or_without_objects(truth, found, shape):
    out = draw_comparison(np.full(shape, 90, np.uint8), truth, found, ("cell",))
    assert out.dtype == np.uint8
    assert out.shape[1:] == (2 * 300 + 4, 3)  # three times as large
    assert (out != 90).any()


def test_a_missed_object_is_drawn_otherwise_than_a_found_one():
    image = np.full((240, 320, 3), 90, np.uint8)
    truth = {"bboxes": [[20, 40, 120, 140]], "labels": [0]}
    found = draw_comparison(image, truth, {**truth, "scores": [0.8]}, ("cell",))
    missed = draw_comparison(image, truth, NONE, ("cell",))

    def black(picture):
        return (picture[:, :320] == 0).all(-1).sum()

    assert black(missed) > black(found) + 100
