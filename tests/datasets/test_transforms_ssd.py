"""Laws of SSD's augmentation: zooming out, and windows that overlap objects as much as was drawn."""

import numpy as np
import pytest
from transform_records import record

from rdet.datasets.transforms.expand import Expand
from rdet.datasets.transforms.min_iou_crop import MinIoURandomCrop
from rdet.errors import ConfigError


def positions(boxes, ignored=()):
    """Pixels hold their own position, and a third channel what no canvas has."""
    results = record(boxes)
    y, x = np.mgrid[:90, :120]
    results["img"] = np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8)
    results["gt_ignore_flags"][list(ignored)] = True
    return results


def test_expand_moves_boxes_with_the_image():
    for seed in range(20):
        np.random.seed(seed)
        results = Expand(mean=(200, 210, 220), prob=1.0)(positions([[10, 20, 60, 50]]))
        image = results["img"]
        assert results["img_shape"] == image.shape[:2]
        assert 90 <= image.shape[0] <= 360
        assert abs(image.shape[1] / image.shape[0] - 120 / 90) < 0.02
        rows, columns = (image[..., 2] == 7).nonzero()
        left, top = columns.min(), rows.min()
        assert len(rows) == 90 * 120
        np.testing.assert_array_equal(image[top, left], [0, 0, 7])
        np.testing.assert_array_equal(results["gt_bboxes"], [[10 + left, 20 + top, 60 + left, 50 + top]])
        assert (image[image[..., 2] != 7] == (200, 210, 220)).all()


def test_expand_happens_as_often_as_it_says():
    np.random.seed(0)
    grown = [Expand(prob=0.3)(record())["img"].shape[0] > 90 for _ in range(300)]
    assert 60 < sum(grown) < 120


@pytest.mark.parametrize("ratio_range", [(0.5, 2.0), (3.0, 2.0)])
def test_expand_only_expands(ratio_range):
    with pytest.raises(ConfigError, match="ratio_range"):
        Expand(ratio_range=ratio_range)


def test_expand_needs_a_level_for_each_channel():
    results = record()
    results["img"] = results["img"][..., :2]
    with pytest.raises(ConfigError, match="2 channels; give one number for each"):
        Expand(prob=1.0)(results)


def iou_with_window(boxes, left, top, width, height):
    window = np.array([left, top, left + width, top + height])
    side = (np.minimum(boxes[:, 2:], window[2:]) - np.maximum(boxes[:, :2], window[:2])).clip(min=0)
    common = side.prod(axis=1)
    return common / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + width * height - common)


@pytest.mark.parametrize(("min_iou", "count"), [(0.1, 2), (0.5, 1)])
def test_windows_overlap_as_much_as_asked(min_iou, count):
    boxes = np.array([[10, 10, 80, 70], [60, 40, 118, 88]], np.float32)[:count]
    crop = MinIoURandomCrop(min_ious=(min_iou,))
    overlaps = []
    for seed in range(60):
        np.random.seed(seed)
        results = crop(positions(boxes))
        image = results["img"]
        height, width = results["img_shape"]
        left, top = image[0, 0, :2].astype(int)
        if (height, width) == (90, 120):
            continue
        assert 0.5 <= height / width <= 2
        assert min(height / 90, width / 120) > 0.28
        center = (boxes[:, :2] + boxes[:, 2:]) / 2
        within = ((center > (left, top)) & (center < (left + width, top + height))).all(axis=1)
        assert len(results["gt_bboxes"]) == len(results["gt_bboxes_labels"]) == within.sum() > 0
        shifted = np.clip(boxes[within] - (left, top, left, top), 0, [width, height, width, height])
        np.testing.assert_allclose(results["gt_bboxes"], shifted)
        overlaps.append(iou_with_window(boxes, left, top, width, height).min())
    overlaps = np.array(overlaps)
    # What was drawn is the overlap, or any window.
    assert (overlaps >= min_iou).mean() > 0.3


def test_without_objects_any_window_will_do():
    np.random.seed(0)
    sizes = {MinIoURandomCrop()(record(np.empty((0, 4))))["img_shape"] for _ in range(20)}
    assert len(sizes) > 5


def test_ignored_regions_are_cut_and_do_not_choose_windows():
    for seed in range(20):
        np.random.seed(seed)
        results = MinIoURandomCrop(min_ious=(0.9,), tries=3)(positions([[2, 2, 119, 89], [0, 0, 5, 5]], ignored=[1]))
        flags = results["gt_ignore_flags"]
        assert (~flags).sum() == 1
        left, top = results["img"][0, 0, :2]
        assert flags.any() == (left < 5 and top < 5)
