"""CopyPaste: what is pasted, and what is left of what it hides."""

import numpy as np
import pytest
from transform_records import record

from rdet.datasets.transforms import CopyPaste


@pytest.fixture
def choose(monkeypatch):
    """Makes CopyPaste choose these of the other image's objects that it may choose."""

    def give(*positions: int) -> None:
        monkeypatch.setattr(np.random, "randint", lambda low, high: len(positions))
        monkeypatch.setattr(np.random, "choice", lambda objects, count, replace: objects[list(positions)])

    return give


def picture(boxes, size=(60, 60), ignored=(), label=0) -> dict:
    results = record(boxes, size)
    results["gt_bboxes_labels"] = np.arange(len(boxes)) + label
    results["gt_ignore_flags"] = np.isin(np.arange(len(boxes)), ignored)
    return results


def two(ours, theirs, ignored=(), their_ignored=()) -> tuple[dict, dict]:
    one, other = picture(ours, ignored=ignored), picture(theirs, ignored=their_ignored, label=10)
    other["img"] = 255 - other["img"]
    return one, other


def test_pixels_and_boxes_of_what_is_pasted(choose):
    choose(1)
    one, other = two([[0, 0, 10, 10]], [[40, 40, 50, 50], [20.5, 30, 35, 44.2]])
    results = CopyPaste().mix(dict(one), lambda: dict(other))
    np.testing.assert_array_equal(results["gt_bboxes"], np.float32([[0, 0, 10, 10], [20.5, 30, 35, 44.2]]))
    assert results["gt_bboxes_labels"].tolist() == [0, 11]
    expected = one["img"].copy()
    expected[30:45, 20:35] = other["img"][30:45, 20:35]  # all pixels that the box touches
    np.testing.assert_array_equal(results["img"], expected)
    assert not np.shares_memory(results["img"], one["img"])


HIDING = [20, 20, 40, 40]


@pytest.mark.parametrize(
    ("ours", "left"),
    [
        ([0, 0, 20, 20], [0, 0, 20, 20]),  # touches
        ([10, 20, 30, 40], [10, 20, 20, 40]),  # half of it hidden: what is seen is left
        ([30.5, 22.5, 50.5, 38.5], [40, 22.5, 50.5, 38.5]),
        ([30, 30, 50, 50], [30, 30, 50, 50]),  # an L remains: its bounding box
        ([15, 25, 45, 35], [15, 25, 45, 35]),  # both ends remain: one object still
        ([10, 10, 50, 50], [10, 10, 50, 50]),  # a frame remains
        ([20, 20, 40, 40], None),
        ([22, 22, 38, 38], None),
        ([10, 20, 40, 40], [10, 20, 20, 40]),  # a third is seen, enough
        ([12, 20, 40, 40], None),  # 8 of 28, too little
    ],
)
def test_what_is_left_of_a_hidden_box(choose, ours, left):
    choose(0)
    one, other = two([ours], [HIDING])
    results = CopyPaste(min_visible=0.3).mix(one, lambda: other)
    expected = [HIDING] if left is None else [left, HIDING]
    np.testing.assert_array_equal(results["gt_bboxes"], expected)
    assert results["gt_bboxes_labels"].tolist() == ([10] if left is None else [0, 10])


def test_share_that_has_to_be_in_sight(choose):
    for min_visible, kept in ((0.5, [0, 10]), (0.51, [10])):
        choose(0)
        one, other = two([[10, 20, 30, 40]], [HIDING])
        results = CopyPaste(min_visible=min_visible).mix(one, lambda other=other: other)
        assert results["gt_bboxes_labels"].tolist() == kept


def test_slivers_go(choose):
    choose(0)
    one, other = two([[19.5, 20, 20.5, 40]], [HIDING])
    assert CopyPaste().mix(one, lambda: other)["gt_bboxes_labels"].tolist() == [10]


def test_ignored_regions(choose):
    """Of ours, what is seen is kept however little; of theirs, what came along."""
    choose(0)
    one, other = two(
        [[12, 20, 40, 40], [25, 25, 30, 30], [0, 0, 5, 5]],
        [HIDING, [38, 20, 60, 60], [50, 50, 60, 60]],
        ignored=(0, 1),
        their_ignored=(1, 2),
    )
    results = CopyPaste().mix(one, lambda: other)
    np.testing.assert_array_equal(results["gt_bboxes"], [[12, 20, 20, 40], [0, 0, 5, 5], HIDING, [38, 20, 40, 40]])
    assert results["gt_bboxes_labels"].tolist() == [0, 2, 10, 11]
    assert results["gt_ignore_flags"].tolist() == [True, False, False, True]


def test_objects_that_come_along(choose):
    choose(0)
    one, other = two([], [HIDING, [30, 25, 50, 35], [39, 20, 60, 40], [22, 22, 30, 30]])
    results = CopyPaste().mix(one, lambda: other)
    # half of the second is in sight, one column of the third, all of the fourth
    np.testing.assert_array_equal(results["gt_bboxes"], [HIDING, [30, 25, 40, 35], [22, 22, 30, 30]])
    assert results["gt_bboxes_labels"].tolist() == [10, 11, 13]


@pytest.mark.parametrize("size", [(30, 90), (90, 30), (20, 20)])
def test_another_size(choose, size):
    """What lies beyond this image is cut; it keeps its size."""
    choose(0)
    other = picture([[10, 10, 20, 20]], size, label=10)
    results = CopyPaste().mix(picture([]), lambda: other)
    assert results["img"].shape == (60, 60, 3)
    np.testing.assert_array_equal(results["gt_bboxes"], [[10, 10, 20, 20]])
    choose(0)
    wide = picture([[50, 10, 80, 20], [70, 0, 80, 10]], (30, 90), label=10)
    results = CopyPaste().mix(picture([]), lambda: wide)
    np.testing.assert_array_equal(results["gt_bboxes"], [[50, 10, 60, 20]])


def test_nothing_to_paste():
    for boxes, ignored in (([], ()), ([HIDING], (0,))):
        one, other = two([[1, 2, 30, 40]], boxes, their_ignored=ignored)
        results = CopyPaste().mix(dict(one), lambda other=other: other)
        np.testing.assert_array_equal(results["img"], one["img"])
        assert results["gt_bboxes_labels"].tolist() == [0]


def test_how_many_are_pasted():
    boxes = [[6 * i, 0, 6 * i + 5, 5] for i in range(8)]
    for limit, counts in ((3, {1, 2, 3}), (100, set(range(1, 9)))):
        np.random.seed(0)
        drawn = [len(CopyPaste(limit).mix(picture([]), lambda: picture(boxes))["gt_bboxes"]) for _ in range(100)]
        assert set(drawn) == counts


@pytest.mark.parametrize("seed", range(20))
def test_laws(seed):
    rng = np.random.default_rng(seed)

    def some(label: int) -> dict:
        corners = rng.uniform(0, 45, (6, 2))
        return picture(np.concatenate([corners, corners + rng.uniform(3, 15, (6, 2))], 1), ignored=(2,), label=label)

    np.random.seed(seed)
    one, other = some(0), some(10)
    other["img"] = 255 - other["img"]
    results = CopyPaste().mix(dict(one), lambda: dict(other))
    same, pasted = ((results["img"] == source["img"]).all(axis=2) for source in (one, other))
    assert (same | pasted).all()
    assert pasted.any()
    boxes, labels = results["gt_bboxes"], results["gt_bboxes_labels"]
    assert ((boxes >= 0) & (boxes <= 60)).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 1).all()
    np.testing.assert_array_equal(results["gt_ignore_flags"], labels % 10 == 2)
    for box, label in zip(boxes, labels, strict=True):  # never larger than it was
        source = (one, other)[label // 10]["gt_bboxes"][label % 10]
        assert (box[:2] >= source[:2]).all()
        assert (box[2:] <= source[2:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_num_pasted": 0}, "CopyPaste: max_num_pasted must be at least 1, got 0"),
        ({"min_visible": 0}, "CopyPaste: min_visible must be above 0 and at most 1, got 0"),
        ({"prob": -0.1}, "CopyPaste: prob must be between 0 and 1, got -0.1"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        CopyPaste(**options)
