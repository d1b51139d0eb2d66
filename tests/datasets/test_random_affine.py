"""RandomAffine, RandomHSV and Pad, which YOLOX trains with."""

import cv2
import numpy as np
import pytest

from rdet.datasets.transforms import Pad, RandomAffine, RandomHSV
from rdet.datasets.transforms.random_affine import affine_map, mapped
from rdet.errors import ConfigError, DatasetError


def record(width=60, height=40, boxes=((10, 12, 30, 28),)):
    image = np.full((height, width, 3), 50, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 250
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return {
        "img": image,
        "gt_bboxes": boxes,
        "gt_bboxes_labels": np.arange(len(boxes)),
        "gt_ignore_flags": np.zeros(len(boxes), bool),
        "scale_factor": (0.5, 0.5),
    }


def test_a_map_by_hand():
    matrix = affine_map(2.0, 90.0, (0.0, 0.0), (100, 5))
    assert np.allclose(mapped(np.array([[10.0, 20, 30, 60]]), matrix), [[100 - 120, 5 + 20, 100 - 40, 5 + 60]])
    sheared = affine_map(1.0, 0.0, (45.0, 0.0), (0, 0))
    assert np.allclose(mapped(np.array([[0.0, 0, 10, 4]]), sheared), [[0, 0, 14, 4]])


def test_nothing_to_draw_changes_nothing():
    still = RandomAffine((60, 40), 0, 0, (1, 1), 0)(record())
    assert np.array_equal(still["img"], record()["img"])
    assert np.array_equal(still["gt_bboxes"], record()["gt_bboxes"])
    assert still["scale_factor"] == (1.0, 1.0)
    assert still["img_shape"] == still["ori_shape"] == (40, 60)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_go_with_their_picture(seed):
    """Bright pixels are where the box says, and reach its sides."""
    np.random.seed(seed)
    out = RandomAffine(64, 10, 0.1, (0.5, 1.5), 2)(record())
    assert out["img"].shape == (64, 64, 3)
    rows, columns = (out["img"][..., 0] > 150).nonzero()
    (box,) = out["gt_bboxes"]
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(box - found).max() < 2.5
    assert (box >= 0).all()
    assert (box <= 64).all()


def test_what_is_outside_goes():
    np.random.seed(0)
    out = RandomAffine(64, 0, 0, (1, 1), 0)(
        record(200, 200, [(10, 10, 30, 30), (150, 150, 180, 180), (60, 60, 90, 90)])
    )
    assert out["gt_bboxes"].tolist() == [[10, 10, 30, 30], [60, 60, 64, 64]]
    assert out["gt_bboxes_labels"].tolist() == [0, 2]
    assert len(out["gt_ignore_flags"]) == 2
    with pytest.raises(ConfigError, match="max_shear_degree must be below 45"):
        RandomAffine(64, max_shear_degree=45)
    with pytest.raises(DatasetError, match="RandomAffine takes images of 3 channels"):
        RandomAffine(64)({"img": np.zeros((4, 4, 1), np.uint8)})


def test_hsv_moves_each_of_the_three_by_one_number():
    generator = np.random.default_rng(0)
    hsv = np.stack([generator.integers(20, 160, (8, 8)), generator.integers(80, 200, (8, 8)), np.full((8, 8), 200)], 2)
    image = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
    seen = set()
    for seed in range(20):
        np.random.seed(seed)
        out = cv2.cvtColor(RandomHSV(0, 0, 30)({"img": image.copy()})["img"], cv2.COLOR_BGR2HSV)
        values = set((out[..., 2].astype(int) - 200).flatten().tolist())
        assert len(values) == 1
        seen |= values
    assert 0 in seen
    assert min(seen) >= -30
    assert max(seen) <= 30
    assert len(seen) > 5
    assert np.array_equal(RandomHSV(0, 0, 0)({"img": image.copy()})["img"].shape, image.shape)


def test_pad():
    out = Pad((70, 30), 7)(record())
    assert out["img"].shape == (40, 70, 3)
    assert out["img_shape"] == (40, 70)
    assert (out["img"][:, 60:] == 7).all()
    assert np.array_equal(out["img"][:, :60], record()["img"])
    assert np.array_equal(out["gt_bboxes"], record()["gt_bboxes"])
    assert Pad(20)(record())["img_shape"] == (40, 60)
