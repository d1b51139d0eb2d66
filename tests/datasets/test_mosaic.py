"""Mosaics: boxes and pixels by hand, for a given centre."""

import re

import numpy as np
import pytest
from transform_records import record

from rdet.datasets import DatasetError
from rdet.datasets.transforms import Mosaic


def picture(value: int, boxes, size=(40, 40)) -> dict:
    """A picture (H, W) of one value, whose labels and ignored boxes tell it from others."""
    results = record(boxes, size)
    results["img"][:] = value
    results["gt_bboxes_labels"] += 10 * value
    results["gt_ignore_flags"] = np.arange(len(boxes)) == 1
    return results


@pytest.fixture
def center(monkeypatch):
    """Gives the two multiples of the scale at which the centre lies."""

    def give(x: float, y: float) -> None:
        draws = [x, y]
        monkeypatch.setattr(np.random, "uniform", lambda low, high: draws.pop(0))

    return give


def four() -> tuple[dict, list[dict]]:
    box = [[4, 8, 20, 16], [0, 0, 40, 40]]
    first, *others = (picture(value, box) for value in (1, 2, 3, 4))
    return first, others


def test_four_pictures_around_the_centre(center):
    center(1.0, 1.0)
    first, others = four()
    results = Mosaic(40, pad_val=9).mix(first, lambda: others.pop(0))
    image = results["img"]
    assert image.shape == (80, 80, 3)
    assert image.dtype == np.uint8
    for value, (top, left) in {1: (0, 0), 2: (0, 40), 3: (40, 0), 4: (40, 40)}.items():
        assert (image[top : top + 40, left : left + 40] == value).all()
    np.testing.assert_array_equal(
        results["gt_bboxes"],
        [
            *([4, 8, 20, 16], [0, 0, 40, 40]),
            *([44, 8, 60, 16], [40, 0, 80, 40]),
            *([4, 48, 20, 56], [0, 40, 40, 80]),
            *([44, 48, 60, 56], [40, 40, 80, 80]),
        ],
    )
    assert results["gt_bboxes_labels"].tolist() == [10, 11, 20, 21, 30, 31, 40, 41]
    assert results["gt_ignore_flags"].tolist() == [False, True] * 4


def test_what_reaches_beyond_the_canvas_is_cut(center):
    center(0.5, 1.25)  # the centre is (20, 50)
    first, others = four()
    results = Mosaic(40, pad_val=9).mix(first, lambda: others.pop(0))
    image = results["img"]
    assert (image[10:50, :20] == 1).all()
    assert (image[10:50, 20:60] == 2).all()
    assert (image[50:80, :20] == 3).all()
    assert (image[50:80, 20:60] == 4).all()
    assert (image[:10] == 9).all()
    assert (image[:, 60:] == 9).all()
    np.testing.assert_array_equal(
        results["gt_bboxes"],
        [
            # (4, 8, 20, 16) in the first lies 20 to the left of the canvas's edge: nothing is left
            [0, 10, 20, 50],
            *([24, 18, 40, 26], [20, 10, 60, 50]),
            [0, 50, 20, 80],
            *([24, 58, 40, 66], [20, 50, 60, 80]),
        ],
    )
    assert results["gt_bboxes_labels"].tolist() == [11, 20, 21, 31, 40, 41]
    assert results["gt_ignore_flags"].tolist() == [True, False, True, True, False, True]


def test_pictures_are_made_to_fit(center):
    """80 x 20 (width, height) fits 40 x 60 as 40 x 10, and 20 x 30 as 40 x 60."""
    center(1.0, 1.0)
    wide, tall = picture(1, [[8, 4, 80, 20]], (20, 80)), [picture(v, [[2, 3, 20, 30]], (30, 20)) for v in (2, 3, 4)]
    results = Mosaic((40, 60), pad_val=9).mix(wide, lambda: tall.pop(0))
    assert results["img"].shape == (120, 80, 3)
    assert (results["img"][50:60, :40] == 1).all()
    assert (results["img"][:50, :40] == 9).all()
    np.testing.assert_allclose(
        results["gt_bboxes"], [[4, 52, 40, 60], [44, 6, 80, 60], [4, 66, 40, 120], [44, 66, 80, 120]]
    )


def test_a_mosaic_is_an_image_of_its_own():
    first, others = four()
    first |= {"img_id": 7, "scale_factor": (2.0, 2.0), "flip": True, "flip_direction": "horizontal"}
    results = Mosaic((40, 30)).mix(first, lambda: others.pop(0))
    assert results["img_shape"] == results["ori_shape"] == (60, 80)
    assert (results["scale_factor"], results["flip"], results["flip_direction"]) == ((1.0, 1.0), False, None)
    assert results["img_id"] == 7


def test_pictures_without_boxes():
    results = Mosaic(40).mix(picture(1, []), lambda: picture(2, []))
    assert results["gt_bboxes"].shape == (0, 4)
    assert results["gt_bboxes"].dtype == np.float32
    assert len(results["gt_bboxes_labels"]) == len(results["gt_ignore_flags"]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_boxes_stay_around_their_objects(seed):
    """Every object is one bright rectangle; the boxes together are exactly what is bright."""
    np.random.seed(seed)

    def draw():
        results = picture(0, [[10, 6, 26, 30]])
        results["img"][6:30, 10:26] = 255
        return results

    results = Mosaic(40, pad_val=0).mix(draw(), draw)
    expected = np.zeros((80, 80), bool)
    for x1, y1, x2, y2 in results["gt_bboxes"].astype(int):
        expected[y1:y2, x1:x2] = True
    np.testing.assert_array_equal(results["img"][..., 0] == 255, expected)


def test_centres_cover_their_range():
    np.random.seed(0)
    corners = []
    for _ in range(200):
        first, others = four()
        image = Mosaic(40, pad_val=9).mix(first, lambda others=others: others.pop(0))["img"]
        corners.append(np.argwhere(image[..., 0] == 4)[0])
    assert np.min(corners) in (20, 21)
    assert np.max(corners) in (58, 59)


def test_share_of_mosaics():
    np.random.seed(0)
    mosaic = Mosaic(4, prob=0.3)
    sizes = [mosaic.mix(picture(1, [], (4, 4)), lambda: picture(2, [], (4, 4)))["img"].shape for _ in range(1000)]
    assert set(sizes) == {(4, 4, 3), (8, 8, 3)}
    assert abs(sizes.count((8, 8, 3)) / 1000 - 0.3) < 0.05


def test_alone_it_has_nothing_to_join():
    with pytest.raises(DatasetError, match="Mosaic joins several images; put it directly into the pipeline of a Multi"):
        Mosaic(40)(picture(1, []))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mosaic((0, 4)), "a scale must be two sides in whole pixels, got (0, 4)"),
        (lambda: Mosaic(4, prob=1.5), "Mosaic: prob must be between 0 and 1, got 1.5"),
        (lambda: Mosaic(4, (1.5, 0.5)), "Mosaic: center_ratio_range must be two positive numbers, the least first"),
        (lambda: Mosaic(4, (0.5, 2)), "Mosaic: center_ratio_range must end below 2, got (0.5, 2)"),
        (lambda: Mosaic(4, pad_val=(1, 2)), "Mosaic: pad_val must be one number from 0 to 255, or three, got (1, 2)"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
