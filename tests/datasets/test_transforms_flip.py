"""Laws of flipping."""

import numpy as np
import pytest
from transform_records import BOXES, record

from rdet.datasets.transforms import RandomFlip


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
