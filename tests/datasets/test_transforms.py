"""Laws of the transforms: what happens to the picture happens to its boxes."""

import re

import cv2
import numpy as np
import pytest
import torch

from rdet.datasets import DatasetError
from rdet.datasets.transforms import (
    LoadImageFromFile,
    PackDetInputs,
    PhotoMetricDistortion,
    RandomChoiceResize,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Resize,
)
from rdet.datasets.transforms.photometric import distort
from rdet.registry import TRANSFORMS, UnknownNameError

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


TRANSFORMS_WITH_BOXES = [
    Resize((60, 45), keep_ratio=True),
    RandomChoiceResize([(60, 45), 70], keep_ratio=True),
    RandomResize([(60, 45), (100, 80)]),
    RandomFlip(1.0),
    RandomCrop((50, 40)),
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


# --- resize


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize((0, 10)), "a scale must be two sides in whole pixels, got (0, 10)"),
        (lambda: Resize((1.5, 10)), "a scale must be two sides in whole pixels, got (1.5, 10)"),
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


# --- flip


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flipping_twice_changes_nothing(direction):
    flip = RandomFlip(1.0, direction)
    once = flip(record())
    assert (once["flip"], once["flip_direction"]) == (True, direction)
    assert not np.array_equal(once["img"], record()["img"])
    twice = flip(once)
    np.testing.assert_array_equal(twice["img"], record()["img"])
    np.testing.assert_array_equal(twice["gt_bboxes"], np.array(BOXES, dtype=np.float32))


def test_diagonal_is_horizontal_and_vertical():
    both = RandomFlip(1.0, "vertical")(RandomFlip(1.0, "horizontal")(record()))
    diagonal = RandomFlip(1.0, "diagonal")(record())
    for key in ("img", "gt_bboxes"):
        np.testing.assert_array_equal(both[key], diagonal[key])


def test_flipped_box():
    np.testing.assert_array_equal(RandomFlip(1.0)(record())["gt_bboxes"][0], [60, 20, 110, 50])


@pytest.mark.parametrize(
    ("prob", "direction", "shares"),
    [
        (0.0, "horizontal", {None: 1.0}),
        (0.5, "horizontal", {"horizontal": 0.5, None: 0.5}),
        (0.6, ["horizontal", "vertical"], {"horizontal": 0.3, "vertical": 0.3, None: 0.4}),
        ([0.7, 0.3], ["diagonal", "vertical"], {"diagonal": 0.7, "vertical": 0.3}),
    ],
)
def test_flip_shares(prob, direction, shares):
    np.random.seed(0)
    flip = RandomFlip(prob, direction)
    results = [flip({"img": np.zeros((2, 2, 3), np.uint8)}) for _ in range(2000)]
    drawn = [r["flip_direction"] for r in results]
    assert set(drawn) == set(shares)
    assert all(r["flip"] == (r["flip_direction"] is not None) for r in results)
    for name, share in shares.items():
        assert abs(drawn.count(name) / 2000 - share) < 0.04


def test_no_flip_at_probability_zero(monkeypatch):
    monkeypatch.setattr(np.random, "random", lambda: 0.0)
    assert RandomFlip(0.0)(record())["flip"] is False


# --- crop


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


# --- all of them on a picture


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
    ):
        results = transform(results)
    bright = results["img"][..., 0] > 127
    ys, xs = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    around = [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]
    np.testing.assert_allclose(results["gt_bboxes"], [around], atol=1.0)


# --- colours


def test_distort_by_nothing():
    image = record()["img"]
    np.testing.assert_array_equal(distort(image), image)


def test_brightness_and_contrast():
    image = np.array([[[10, 100, 250]]], np.uint8)
    np.testing.assert_array_equal(distort(image, brightness=20), [[[30, 120, 255]]])
    np.testing.assert_array_equal(distort(image, brightness=-20), [[[0, 80, 230]]])
    np.testing.assert_array_equal(distort(image, contrast=0.5), [[[5, 50, 125]]])
    np.testing.assert_array_equal(distort(image, brightness=10, contrast=2), [[[40, 220, 255]]])
    np.testing.assert_array_equal(distort(image, contrast=0.5, contrast_last=True), [[[5, 50, 125]]])


def test_saturation():
    image = record()["img"]
    grey = distort(image, saturation=0)
    np.testing.assert_array_equal(grey, image.max(axis=2, keepdims=True).repeat(3, axis=2))
    # already grey: nothing to saturate
    np.testing.assert_array_equal(distort(grey, saturation=1.5), grey)


def test_saturation_ends_at_one():
    orange = np.array([[[0, 100, 200]]], np.uint8)
    np.testing.assert_array_equal(distort(orange, saturation=1.5), orange)


def test_dark_pixels_end_at_zero_before_saturation():
    # (-20, 80, 180) is clipped to (0, 80, 180), whose least value half the saturation lifts to 90
    pixel = np.array([[[0, 100, 200]]], np.uint8)
    assert distort(pixel, brightness=-20, saturation=0.5)[0, 0, 0] == 90


def test_hue():
    red, green, blue = [[[0, 0, 200]]], [[[0, 200, 0]]], [[[200, 0, 0]]]
    np.testing.assert_array_equal(distort(np.array(red, np.uint8), hue=120), green)
    np.testing.assert_array_equal(distort(np.array(red, np.uint8), hue=-120), blue)
    image = record()["img"]
    assert np.abs(distort(image, hue=360).astype(int) - image).max() <= 1


def test_distort_leaves_its_input():
    image = record()["img"]
    distort(image, brightness=30, contrast=1.2, saturation=0.5, hue=9)
    np.testing.assert_array_equal(image, record()["img"])


def test_photometric_ranges(monkeypatch):
    """The greatest amounts, drawn on purpose, are those of the arguments."""
    drawn = []
    monkeypatch.setattr(np.random, "uniform", lambda low, high: drawn.append((low, high)) or (low + high) / 2)
    monkeypatch.setattr(np.random, "random", lambda n: np.zeros(n))
    results = PhotoMetricDistortion(10, (0.9, 1.1), (0.8, 1.2), 5)(record())
    assert drawn == [(-10, 10), (0.9, 1.1), (0.8, 1.2), (-5, 5)]
    np.testing.assert_array_equal(results["img"], record()["img"])  # the middle of every range


def test_photometric_draws_each_change_half_the_time(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "rdet.datasets.transforms.photometric.distort", lambda image, *amounts: calls.append(amounts) or image
    )
    np.random.seed(0)
    for _ in range(1000):
        PhotoMetricDistortion()({"img": np.zeros((1, 1, 3), np.uint8)})
    changed = np.array([[b != 0, c != 1, s != 1, h != 0, last] for b, c, s, h, last in calls])
    np.testing.assert_allclose(changed.mean(axis=0), 0.5, atol=0.05)


# --- pack


def test_pack():
    results = RandomFlip(1.0)(record()) | {"img_id": 5, "img_path": "a.jpg"}
    packed = PackDetInputs()(results)
    assert set(packed) == {"inputs", "data_samples"}
    inputs, sample = packed["inputs"], packed["data_samples"]
    assert inputs.dtype == torch.uint8
    assert inputs.is_contiguous()
    np.testing.assert_array_equal(inputs.numpy(), results["img"].transpose(2, 0, 1))
    assert sample.metainfo == {
        "img_id": 5,
        "img_path": "a.jpg",
        "ori_shape": (90, 120),
        "img_shape": (90, 120),
        "scale_factor": (1.0, 1.0),
        "flip": True,
        "flip_direction": "horizontal",
    }
    assert sample.gt_instances.bboxes.tolist() == [[60, 20, 110, 50], [0, 0, 120, 90]]
    assert sample.gt_instances.labels.tolist() == [0, 1]
    assert sample.ignored_instances.bboxes.tolist() == [[0, 70, 19.5, 90]]
    assert sample.ignored_instances.labels.tolist() == [2]
    assert sample.gt_instances.bboxes.dtype == torch.float32
    assert sample.gt_instances.labels.dtype == torch.int64


def test_pack_no_boxes():
    sample = PackDetInputs()(record([]))["data_samples"]
    for instances in (sample.gt_instances, sample.ignored_instances):
        assert instances.bboxes.shape == (0, 4)
        assert instances.bboxes.dtype == torch.float32
        assert instances.labels.dtype == torch.int64


def test_pack_a_lone_picture():
    sample = PackDetInputs()(LoadImageFromFile()({"img": np.zeros((3, 4, 3), np.uint8)}))["data_samples"]
    assert "gt_instances" not in sample
    assert sample.img_shape == (3, 4)


def test_pack_a_view():
    image = record()["img"]
    packed = PackDetInputs()(record() | {"img": image[::2, ::-1]})
    np.testing.assert_array_equal(packed["inputs"].numpy(), image[::2, ::-1].transpose(2, 0, 1))


def test_pack_chosen_keys():
    packed = PackDetInputs(meta_keys=["img_shape"])(record())
    assert packed["data_samples"].metainfo == {"img_shape": (90, 120)}


def test_pack_a_key_that_is_not_there():
    with pytest.raises(DatasetError, match=r"the record has no 'scale_facter' to pack. Did you mean 'scale_factor'"):
        PackDetInputs(meta_keys=("scale_facter",))(record())


def test_cv2_reads_what_pack_gets(tmp_path):
    """A file keeps its colours through loading and packing: planes are blue, green, red."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((2, 2, 3), (1, 2, 3), np.uint8))
    packed = PackDetInputs()(LoadImageFromFile()({"img_path": str(tmp_path / "a.png")}))
    assert packed["inputs"][:, 0, 0].tolist() == [1, 2, 3]


def test_rdets_transforms_come_before_mmcvs():
    for name in ("LoadImageFromFile", "Resize", "RandomFlip", "RandomResize", "RandomChoiceResize"):
        assert TRANSFORMS.get(name).__module__.startswith("rdet.")
    assert TRANSFORMS.get("Pad").__module__.startswith("mmcv.")
