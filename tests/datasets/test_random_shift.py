"""RandomShift, which YOLOF trains with."""

import numpy as np

from rdet.datasets.transforms import RandomShift


def record(*boxes):
    image = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3) % 200 + 1
    count = len(boxes)
    return {
        "img": image,
        "gt_bboxes": np.array(boxes, dtype=np.float32).reshape(-1, 4),
        "gt_bboxes_labels": np.arange(count),
        "gt_ignore_flags": np.zeros(count, dtype=bool),
    }


def test_pixels_and_boxes_move_together():
    rng = np.random.default_rng(0)
    for seed in rng.integers(1000, size=20):
        np.random.seed(seed)
        before, after = record([10, 12, 30, 30]), RandomShift(1.0, 8)(record([10, 12, 30, 30]))
        x, y = (after["gt_bboxes"][0, :2] - before["gt_bboxes"][0, :2]).astype(int)
        assert max(abs(x), abs(y)) <= 8
        assert after["img"].shape == before["img"].shape
        assert np.array_equal(after["img"][12 + y : 30 + y, 10 + x : 30 + x], before["img"][12:30, 10:30])
        assert (after["img"] == 0).any(axis=2).sum() == 40 * 60 - (40 - abs(y)) * (60 - abs(x))


def test_what_leaves_the_image_goes(monkeypatch):
    monkeypatch.setattr(np.random, "randint", lambda *_, size: np.array([-20, 0]))
    found = RandomShift(1.0, 20)(record([0, 0, 19, 20], [10, 0, 40, 20], [0, 5, 20.5, 9]))
    assert found["gt_bboxes"].tolist() == [[0, 0, 20, 20]]
    assert found["gt_bboxes_labels"].tolist() == [1]
    assert found["gt_ignore_flags"].tolist() == [False]
    alone = record([0, 0, 19, 20])
    same = RandomShift(1.0, 20)({**alone})
    assert np.array_equal(same["img"], alone["img"])
    assert np.array_equal(same["gt_bboxes"], alone["gt_bboxes"])


def test_shifts_as_often_as_asked_for():
    np.random.seed(0)
    shift = RandomShift(0.25, 3)
    found = np.stack([shift(record([10, 12, 30, 30]))["gt_bboxes"][0] for _ in range(400)])
    moved = (found != [10, 12, 30, 30]).any(axis=1).sum()
    assert 70 < moved < 130
    image = record()["img"]
    assert RandomShift(1.0, 100)({"img": image})["img"].shape == image.shape
