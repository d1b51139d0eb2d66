"""Laws of resizing."""

import numpy as np
import pytest
from transform_records import BOXES, record

from rdet.datasets.transforms import FitWithin, RandomChoiceResize, RandomResize, Resize


@pytest.mark.parametrize(
    ("scale", "keep_ratio", "shape"),
    [
        ((240, 200), True, (180, 240)),  # bound by the longer side
        ((200, 400), True, (200, 267)),  # by the shorter one; the order of the two does not matter
        ((60, 90), False, (90, 60)),
        (30, False, (30, 30)),
    ],
)
def test_resize_scales_boxes_by_scale_factor(scale, keep_ratio, shape):
    results = Resize(scale, keep_ratio)(record())
    assert results["img_shape"] == shape
    assert results["scale_factor"] == (shape[1] / 120, shape[0] / 90)
    np.testing.assert_allclose(results["gt_bboxes"], np.array(BOXES) * (results["scale_factor"] * 2), rtol=1e-6)
    assert results["ori_shape"] == (90, 120)


def test_resize_keeps_boxes_inside():
    for width in range(50, 150):
        results = Resize((width, 77))(record([[0, 0, 120, 90]]))
        np.testing.assert_allclose(results["gt_bboxes"], [[0, 0, width, 77]], rtol=1e-6)
        assert (results["gt_bboxes"] <= [width, 77, width, 77]).all()
    # 21 * float32(48 / 21) is more than 48
    np.testing.assert_array_equal(Resize((48, 90))(record([[0, 0, 21, 90]], (90, 21)))["gt_bboxes"], [[0, 0, 48, 90]])


def test_resizing_twice_multiplies_scale_factor():
    results = Resize((300, 90))(Resize((60, 45))(record()))
    assert results["scale_factor"] == (2.5, 1.0)
    np.testing.assert_allclose(results["gt_bboxes"], np.array(BOXES) * [2.5, 1, 2.5, 1], rtol=1e-6)


def test_resize_is_mmcvs():
    from mmcv.transforms import Resize as MmcvResize

    for scale, keep_ratio in [((1333, 800), True), ((77, 55), False)]:
        theirs, ours = MmcvResize(scale, keep_ratio=keep_ratio)(record()), Resize(scale, keep_ratio)(record())
        np.testing.assert_array_equal(ours["img"], theirs["img"])
        np.testing.assert_allclose(ours["gt_bboxes"], theirs["gt_bboxes"], rtol=1e-6)
        assert ours["scale_factor"] == theirs["scale_factor"]


def test_random_choice_resize_draws_every_scale():
    transform = RandomChoiceResize([(60, 45), (30, 30)])
    assert {transform(record())["img_shape"] for _ in range(40)} == {(45, 60), (30, 30)}


def test_random_resize_draws_from_the_range():
    shapes = {RandomResize([(60, 45), (61, 47)])(record())["img_shape"] for _ in range(100)}
    assert shapes == {(h, w) for h in (45, 46, 47) for w in (60, 61)}


def test_random_resize_by_ratio():
    shapes = [RandomResize((60, 40), ratio_range=(0.5, 2.0))(record())["img_shape"] for _ in range(50)]
    assert all(20 <= h <= 80 and abs(w / h - 1.5) < 0.1 for h, w in shapes)
    assert len(set(shapes)) > 10


def test_fit_within_shrinks_what_is_larger_and_nothing_else():
    height, width = record()["img"].shape[:2]
    same = FitWithin((width, height))(record())
    np.testing.assert_array_equal(same["img"], record()["img"])
    assert same["scale_factor"] == record()["scale_factor"]
    found = FitWithin((width // 2, height))(record())
    assert found["img"].shape[:2] == (height // 2, width // 2)
    assert found["scale_factor"] == tuple(factor / 2 for factor in record()["scale_factor"])
    assert FitWithin((height, 1))(record())["img"].shape[1] == 1  # width bounds it
