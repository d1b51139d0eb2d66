"""MixUp: boxes and pixels by hand, for draws that are given."""

import numpy as np
import pytest
from transform_records import record

from rdet.datasets.transforms import MixUp


@pytest.fixture
def given(monkeypatch):
    """Sets the ratio, and the offsets that follow (x, y)."""

    def give(ratio: float, *offsets: int) -> None:
        offsets = list(offsets)
        monkeypatch.setattr(np.random, "uniform", lambda low, high: ratio)
        monkeypatch.setattr(np.random, "randint", lambda stop: min(offsets.pop(0), stop - 1))

    return give


def grey(value: int, boxes, size) -> dict:
    results = record(boxes, size)
    results["img"][:] = value
    return results


def test_same_size(given):
    given(1.0, 5, 5)
    one, other = record([[1, 2, 30, 40]]), record([[5, 6, 70, 80], [0, 0, 10, 10], [0, 0, 120, 90]])
    other["img"] = other["img"][::-1].copy()
    sums = one["img"].astype(int) + other["img"]
    other["gt_bboxes_labels"] += 10
    results = MixUp().mix(one, lambda: other)
    assert np.abs(2 * results["img"].astype(int) - sums).max() <= 1
    assert results["img"].dtype == np.uint8
    np.testing.assert_array_equal(
        results["gt_bboxes"], [[1, 2, 30, 40], [5, 6, 70, 80], [0, 0, 10, 10], [0, 0, 120, 90]]
    )
    assert results["gt_bboxes_labels"].tolist() == [0, 10, 11, 12]
    assert results["gt_ignore_flags"].tolist() == [False, False, False, True]


def test_smaller_one_lies_in_the_upper_left(given):
    """60 x 20 (width, height) fits 40 x 30 as 40 x 13, half of which is 20 x 7."""
    given(0.5, 0, 0)
    one = grey(100, [], (30, 40)) | {"img_id": 4, "scale_factor": (3.0, 3.0)}
    results = MixUp(pad_val=20).mix(one, lambda: grey(200, [[0, 0, 60, 20]], (20, 60)))
    assert (results["img"][:7, :20] == 150).all()
    assert (results["img"][7:] == 60).all()
    assert (results["img"][:, 20:] == 60).all()
    np.testing.assert_allclose(results["gt_bboxes"], [[0, 0, 20, 7]], rtol=1e-6)
    assert (results["img_id"], results["scale_factor"], results["img_shape"]) == (4, (3.0, 3.0), (30, 40))


def test_larger_one_is_cut_to_a_window(given):
    given(2.0, 30, 10)
    other = grey(0, [[20, 10, 30, 20], [0, 0, 10, 4]], (30, 40))  # becomes 80 x 60
    other["img"][10:20, 20:30] = 200
    results = MixUp().mix(grey(0, [[1, 1, 2, 2]], (30, 40)), lambda: other)
    # (40, 20, 60, 40) less (30, 10); the other, (0, 0, 20, 8), is out of sight
    np.testing.assert_array_equal(results["gt_bboxes"], [[1, 1, 2, 2], [10, 10, 30, 30]])
    assert (results["img"][12:28, 12:28] == 100).all()
    assert (results["img"][:, :8] == 0).all()


def test_pictures_without_boxes():
    results = MixUp().mix(record([]), lambda: record([]))
    assert results["gt_bboxes"].shape == (0, 4)
    assert len(MixUp().mix(record([[1, 2, 3, 4]]), lambda: record([]))["gt_bboxes"]) == 1


@pytest.mark.parametrize("seed", range(20))
def test_boxes_stay_inside(seed):
    np.random.seed(seed)
    results = MixUp((0.3, 3.0)).mix(record([], (50, 70)), record)
    boxes = results["gt_bboxes"]
    assert results["img"].shape == (50, 70, 3)
    assert ((boxes >= 0) & (boxes <= [70, 50, 70, 50])).all()
    assert len(boxes) == len(results["gt_bboxes_labels"]) == len(results["gt_ignore_flags"])


def test_never_without_probability():
    def draw():
        raise AssertionError

    results = MixUp(prob=0.0).mix(record(), draw)
    np.testing.assert_array_equal(results["img"], record()["img"])


def test_wrong_range():
    with pytest.raises(ValueError, match="MixUp: ratio_range must be two positive numbers, the least first"):
        MixUp((1.5, 0.5))
