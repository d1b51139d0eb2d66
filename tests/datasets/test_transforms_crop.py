"""Laws of cropping."""

import numpy as np
import pytest
from transform_records import BOXES, record

from rdet.datasets.transforms import RandomCrop


def test_crop_shifts_and_clips():
    np.random.seed(3)
    results = RandomCrop((50, 40), allow_negative_crop=True)(record([[0, 0, 120, 90]]))
    np.testing.assert_array_equal(results["gt_bboxes"], [[0, 0, 50, 40]])
    assert results["img_shape"] == (40, 50)


def test_crop_cuts_where_it_says():
    """Pixels hold their own position, so the crop tells its offset."""
    for seed in range(20):
        np.random.seed(seed)
        results = record([[10, 20, 60, 50]])
        y, x = np.mgrid[:90, :120]
        results["img"] = np.stack([x, y, x], axis=2).astype(np.uint8)
        results = RandomCrop((50, 40))(results)
        left, top = results["img"][0, 0, :2].tolist()
        expected = np.clip([10 - left, 20 - top, 60 - left, 50 - top], 0, [50, 40, 50, 40])
        np.testing.assert_array_equal(results["gt_bboxes"], [expected])


def test_small_image_stays_whole():
    results = RandomCrop((500, 40))(record())
    assert results["img_shape"] == (40, 120)


def test_whole_window_changes_nothing():
    results = RandomCrop((120, 90))(record())
    np.testing.assert_array_equal(results["img"], record()["img"])
    np.testing.assert_array_equal(results["gt_bboxes"], np.array(BOXES, dtype=np.float32))


@pytest.mark.parametrize("box", [[0, 0, 3, 3], [117, 87, 120, 90], [0.2, 0.1, 0.6, 0.7], [1, 1, 119, 89]])
def test_crop_keeps_a_box_in_sight(box):
    """Twelve thousand pixels, of which the window shows 64."""
    np.random.seed(0)
    for _ in range(50):
        assert len(RandomCrop((8, 8))(record([box]))["gt_bboxes"]) == 1


def test_crop_around_the_box_shows_all_of_a_small_one():
    np.random.seed(0)
    for _ in range(50):
        box = RandomCrop((8, 8))(record([[50, 50, 53, 53]]))["gt_bboxes"][0]
        assert (box[2:] - box[:2]).min() >= 1


def test_negative_crop_if_allowed():
    np.random.seed(0)
    kept = [len(RandomCrop((8, 8), allow_negative_crop=True)(record([[0, 0, 3, 3]]))["gt_bboxes"]) for _ in range(50)]
    assert kept.count(0) > 40


def test_crop_does_not_look_for_crowds():
    np.random.seed(0)
    results = [record([[0, 0, 3, 3]]) for _ in range(50)]
    for r in results:
        r["gt_ignore_flags"][:] = True
    assert [len(RandomCrop((8, 8))(r)["gt_bboxes"]) for r in results].count(0) > 40


def test_slivers_go_but_whole_tiny_boxes_stay(monkeypatch):
    monkeypatch.setattr(np.random, "randint", lambda *args: 0)  # the upper left corner
    boxes = [[49.5, 10, 60, 20], [49, 10, 60, 20], [5, 5, 5.5, 5.5], [50, 10, 60, 20]]
    results = RandomCrop((50, 40))(record(boxes))
    np.testing.assert_array_equal(results["gt_bboxes_labels"], [1, 2])


@pytest.mark.parametrize(("min_side", "kept"), [(1.0, 1), (0.5, 2), (0.0, 3)])
def test_how_thin_a_cut_box_may_be(min_side, kept):
    boxes = [[0, 0, 50, 40], [49.5, 0, 60, 30], [0, 39.99, 20, 60]]
    np.random.seed(0)
    results = record(boxes)
    results["img"] = np.zeros((40, 50, 3), dtype=np.uint8)  # the window is the image, boxes reach beyond it
    results = RandomCrop((50, 40), allow_negative_crop=True, min_side=min_side)(results)
    assert len(results["gt_bboxes"]) == len(results["gt_bboxes_labels"]) == kept
