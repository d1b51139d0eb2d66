"""Laws of all transforms: what happens to the picture happens to its boxes."""

import re

import numpy as np
import pytest
from transform_records import BOXES, record

from rdet.datasets.transforms import (
    LargeScaleJitter,
    PhotoMetricDistortion,
    RandomChoiceResize,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Resize,
)
from rdet.registry import TRANSFORMS, UnknownNameError

TRANSFORMS_WITH_BOXES = [
    Resize((60, 45), keep_ratio=True),
    RandomChoiceResize([(60, 45), 70], keep_ratio=True),
    RandomResize([(60, 45), (100, 80)]),
    RandomFlip(1.0),
    RandomCrop((50, 40)),
    LargeScaleJitter((100, 80)),
    PhotoMetricDistortion(),
]


@pytest.mark.parametrize("transform", TRANSFORMS_WITH_BOXES, ids=repr)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_columns_stay_in_step(transform, n):
    results = transform(record(BOXES[:n]))
    kept = len(results["gt_bboxes"])
    assert results["gt_bboxes"].shape == (kept, 4)
    assert results["gt_bboxes"].dtype == np.float32
    assert len(results["gt_bboxes_labels"]) == len(results["gt_ignore_flags"]) == kept
    np.testing.assert_array_equal(results["gt_ignore_flags"], results["gt_bboxes_labels"] == 2)
    assert results["img_shape"] == results["img"].shape[:2]
    assert results["img"].dtype == np.uint8
    assert results["img"].flags.c_contiguous


@pytest.mark.parametrize("transform", TRANSFORMS_WITH_BOXES, ids=repr)
def test_picture_without_boxes(transform):
    results = record()
    with_boxes, alone = results, {k: v for k, v in results.items() if not k.startswith("gt_")}
    if not isinstance(transform, RandomCrop):  # whose window depends on the boxes
        np.random.seed(1)
        expected = transform(with_boxes)["img"]
        np.random.seed(1)
        np.testing.assert_array_equal(transform(alone)["img"], expected)
    else:
        assert transform(alone)["img"].shape == (40, 50, 3)


@pytest.mark.parametrize("transform", TRANSFORMS_WITH_BOXES, ids=repr)
def test_randomness_is_numpys(transform):
    outputs = []
    for _ in range(2):
        np.random.seed(7)
        outputs.append(transform(record()))
    for key in ("img", "gt_bboxes"):
        np.testing.assert_array_equal(outputs[0][key], outputs[1][key])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize((0, 10)), "a scale must be two sides in whole pixels, got (0, 10)"),
        (lambda: Resize((1.5, 10)), "a scale must be two sides in whole pixels, got (1.5, 10)"),
        (lambda: RandomResize(keep_ratio=True), "RandomResize: set scale or ratio_range"),
        (lambda: RandomResize([(10, 10)]), "RandomResize: scale must be two scales, or one with ratio_range"),
        (lambda: RandomChoiceResize([]), "RandomChoiceResize: no scales to choose from"),
        (lambda: RandomFlip(0.5, "up"), "RandomFlip: no direction 'up'; valid: horizontal, vertical, diagonal"),
        (lambda: RandomFlip(1.5), "RandomFlip: prob 1.5 does not fit the directions ['horizontal']"),
        (lambda: RandomFlip([0.5], ["horizontal", "vertical"]), "RandomFlip: prob [0.5] does not fit the directions"),
        (lambda: RandomCrop((0, 10)), "RandomCrop: crop_size must be a width and a height in pixels, got (0, 10)"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_misspelled_key_in_a_config():
    with pytest.raises(
        UnknownNameError, match=r"RandomChoiceResize has no key 'keep_ration'. Did you mean 'keep_ratio'"
    ):
        TRANSFORMS.build({"type": "RandomChoiceResize", "scales": [10], "keep_ration": True})


@pytest.mark.parametrize("seed", range(30))
def test_a_rectangle_stays_in_its_box(seed):
    np.random.seed(seed)
    results = record([[30, 20, 90, 60]])
    results["img"][:] = 0
    results["img"][20:60, 30:90] = 255
    for transform in (
        RandomResize([(150, 100), (300, 240)], keep_ratio=bool(seed % 2)),
        RandomFlip(0.7, ["horizontal", "vertical", "diagonal"]),
        RandomCrop((90, 80)),
        LargeScaleJitter(128, (0.7, 2.0), pad_val=0),
        RandomResize(ratio_range=(0.5, 1.5), keep_ratio=True),
    ):
        results = transform(results)
    bright = results["img"][..., 0] > 127
    ys, xs = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    around = [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]
    np.testing.assert_allclose(results["gt_bboxes"], [around], atol=1.0)


def test_rdets_transforms_come_before_mmcvs():
    for name in ("LoadImageFromFile", "Resize", "RandomFlip", "RandomResize", "RandomChoiceResize", "Pad"):
        assert TRANSFORMS.get(name).__module__.startswith("rdet.")
    assert TRANSFORMS.get("CenterCrop").__module__.startswith("mmcv.")
