"""Large-scale jitter: boxes and pixels by hand, for draws that are given."""

import re

import numpy as np
import pytest
from transform_records import BOXES, record

from rdet.datasets.transforms import LargeScaleJitter


@pytest.fixture
def given(monkeypatch):
    """Sets the ratio, and the offsets that follow (x, y)."""

    def give(ratio: float, *offsets: int) -> list[int]:
        rooms, offsets = [], list(offsets)
        monkeypatch.setattr(np.random, "uniform", lambda low, high: ratio)
        monkeypatch.setattr(np.random, "randint", lambda stop: rooms.append(stop - 1) or offsets.pop(0))
        return rooms

    return give


def test_enlarged_and_cropped(given):
    rooms = given(2.0, 30, 50)
    results = LargeScaleJitter((120, 90))(record())  # 120 x 90 becomes 240 x 180
    assert rooms == [120, 90]
    assert results["img"].shape == (90, 120, 3)
    assert results["img_shape"] == (90, 120)
    assert results["scale_factor"] == (2.0, 2.0)
    # twice (10, 20, 60, 50) is (20, 40, 120, 100), less (30, 50): (-10, -10, 90, 50)
    np.testing.assert_array_equal(results["gt_bboxes"], [[0, 0, 90, 50], [0, 0, 120, 90]])
    assert results["gt_bboxes_labels"].tolist() == [0, 1]  # (201, 140) is out of sight
    given(2.0, 120, 90)
    results = LargeScaleJitter((120, 90))(record())
    np.testing.assert_array_equal(results["gt_bboxes"], [[0, 0, 120, 90], [81, 50, 120, 90]])
    assert results["gt_ignore_flags"].tolist() == [False, True]


def test_reduced_and_padded(given):
    rooms = given(0.5, 0, 0)
    source = record()
    source["img"][:] = 200
    results = LargeScaleJitter((120, 90), pad_val=(1, 2, 3))(source)
    assert rooms == [0, 0]
    np.testing.assert_array_equal(results["gt_bboxes"], np.array(BOXES) / 2)
    assert (results["img"][:45, :60] == 200).all()
    assert (results["img"][45:] == (1, 2, 3)).all()
    assert (results["img"][:, 60:] == (1, 2, 3)).all()
    assert results["gt_ignore_flags"].tolist() == [False, False, True]


def test_shape_is_kept_and_sides_are_not_swapped(given):
    given(1.0, 0, 0)
    results = LargeScaleJitter((40, 200))(record([[0, 0, 120, 90]]))  # 120 x 90 fits as 40 x 30
    np.testing.assert_allclose(results["gt_bboxes"], [[0, 0, 40, 30]])
    assert results["img_shape"] == (200, 40)


def test_pixels_of_the_window(given):
    given(1.5, 7, 11)
    source = record([], (60, 80))
    results = LargeScaleJitter((80, 60))(dict(source))
    given(1.0, 0, 0)
    whole = LargeScaleJitter((120, 90))(dict(source))  # enlarged to the same 120 x 90, all of it
    np.testing.assert_array_equal(results["img"], whole["img"][11:71, 7:87])


def test_one_pixel_is_left_of_a_thin_picture(given):
    given(0.1, 0, 0)
    results = LargeScaleJitter((20, 20))(record([[0, 0, 2, 100]], (100, 2)))
    assert results["img_shape"] == (20, 20)
    np.testing.assert_allclose(results["gt_bboxes"], [[0, 0, 1, 2]])


@pytest.mark.parametrize("seed", range(25))
def test_boxes_stay_inside_and_sizes_do_not_change(seed):
    np.random.seed(seed)
    results = LargeScaleJitter((64, 96))(record())
    assert results["img"].shape == (96, 64, 3)
    boxes = results["gt_bboxes"]
    assert ((boxes >= 0) & (boxes <= [64, 96, 64, 96])).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()


def test_factors_cover_the_range():
    np.random.seed(0)
    factors = [LargeScaleJitter((120, 90), (0.1, 2.0))(record([]))["scale_factor"][0] for _ in range(300)]
    np.testing.assert_allclose([min(factors), max(factors), np.mean(factors)], [0.1, 2.0, 1.05], atol=0.06)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LargeScaleJitter((0, 10)), "a scale must be two sides in whole pixels, got (0, 10)"),
        (lambda: LargeScaleJitter(10, (2.0, 0.1)), "LargeScaleJitter: ratio_range must be two positive numbers"),
        (lambda: LargeScaleJitter(10, (0.0, 0.1)), "LargeScaleJitter: ratio_range must be two positive numbers"),
        (
            lambda: LargeScaleJitter(10, pad_val=256),
            "LargeScaleJitter: pad_val must be one number from 0 to 255, or three, got 256",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
