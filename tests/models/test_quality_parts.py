"""Qualities of positives, and the IoU of boxes in pairs on which they rest."""

import math

import pytest
import torch
from torchvision.ops import box_iou

from rdet.models.quality.centerness import Centerness
from rdet.models.quality.class_score import ClassScore
from rdet.models.quality.iou_quality import IoUQuality
from rdet.models.quality.same_quality import SameQuality
from rdet.models.quality.task_aligned_quality import TaskAlignedQuality
from rdet.structures.boxes import paired_iou


def random_boxes(count, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator, dtype=dtype) * 30
    return torch.cat([corners, corners + 1 + torch.rand(count, 2, generator=generator, dtype=dtype) * 30], dim=1)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ([0, 0, 4, 2], [0, 0, 2, 4], 1 / 3),
        ([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0),  # they touch
        ([0, 0, 2, 2], [5, 5, 7, 7], 0),  # apart in both directions: no product of two negatives
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),  # no area
        ([0, 0, 2, 2], [1, 1, 1, 1], 0),
        ([2, 2, 0, 0], [0, 0, 2, 2], 0),  # corners in the wrong order
        ([5, 1, 5, 9], [5, 1, 5, 9], 0),
        ([0, 0, 1e4, 1e4], [0, 0, 1e4, 1e4], 1),
    ],
)
def test_paired_iou(first, second, expected):
    first, second = torch.tensor([first], dtype=torch.float32), torch.tensor([second], dtype=torch.float32)
    assert paired_iou(first, second).tolist() == pytest.approx([expected])
    assert paired_iou(second, first).tolist() == pytest.approx([expected])


def test_paired_iou_is_the_diagonal_of_all_pairs():
    first, second = random_boxes(60, 1), random_boxes(60, 2)
    torch.testing.assert_close(paired_iou(first, second), box_iou(first, second).diagonal())
    shaped = paired_iou(first.view(3, 20, 4), second.view(3, 20, 4))
    assert torch.equal(shaped.flatten(), paired_iou(first, second))
    torch.testing.assert_close(paired_iou(first[:, None], second[None, :7]), box_iou(first, second[:7]))


def test_paired_iou_does_not_exceed_1():
    boxes = random_boxes(5000, 3) * 40
    assert (paired_iou(boxes, boxes) == 1).all()
    nearly = paired_iou(boxes, boxes * (1 + 1e-7))
    assert nearly.max() <= 1
    assert nearly.min() > 0.999


def test_paired_iou_of_nothing():
    assert paired_iou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def around(x, y, side):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


@pytest.mark.parametrize(
    ("center", "box", "expected"),
    [
        ((2, 1), [0, 0, 4, 2], 1),
        ((1, 1), [0, 0, 4, 2], math.sqrt(1 / 3)),
        ((3, 1), [0, 0, 4, 2], math.sqrt(1 / 3)),
        ((1, 0.5), [0, 0, 4, 2], 1 / 3),
        ((0, 1), [0, 0, 4, 2], 0),  # on an edge
        ((-1, 1), [0, 0, 4, 2], 0),  # outside
        ((-1, -1), [0, 0, 4, 2], 0),  # outside in both directions: no product of two negatives
        ((9, 9), [0, 0, 4, 2], 0),
        ((3, 3), [3, 3, 3, 3], 0),  # no area
        ((3, 3), [3, 0, 3, 9], 0),
    ],
)
def test_centerness(center, box, expected):
    box = torch.tensor([box], dtype=torch.float32)
    for side in (0.0, 8.0):  # only the prior's centre counts
        prior = torch.tensor([around(*center, side)])
        assert Centerness()(priors=prior, boxes=box).tolist() == pytest.approx([expected])


def test_centerness_lies_between_0_and_1():
    centerness = Centerness()(random_boxes(500, 4), random_boxes(500, 5))
    assert centerness.min() == 0
    assert 0.5 < centerness.max() <= 1


def test_iou_quality():
    predicted, boxes = random_boxes(50, 6), random_boxes(50, 7)
    quality = IoUQuality()(predicted=predicted, boxes=boxes)
    torch.testing.assert_close(quality, box_iou(predicted, boxes).diagonal())


def test_handed_through():
    values = torch.tensor([0.0, 0.3, 1.0])
    assert torch.equal(ClassScore()(max_scores=values), values)
    assert torch.equal(SameQuality()(quality=values), values)


def of_width(*widths):
    """Predictions of IoU w / 10 with a box 10 wide."""
    return torch.tensor([[0, 0, w, 10.0] for w in widths]), torch.tensor([[0, 0, 10, 10.0]] * len(widths))


def test_task_aligned_quality_by_hand():
    """Object 2: t = s u^6; the best, 0.5 * 0.8^6, becomes the largest IoU, 0.9. Object 0 has one prediction."""
    predicted, boxes = of_width(8, 9, 5, 4)
    scores, objects = torch.tensor([0.5, 0.1, 0.2, 0.01]), torch.tensor([2, 2, 2, 0])
    quality = TaskAlignedQuality()(predicted=predicted, boxes=boxes, scores=scores, gt_index=objects, num_gt=4)
    best = 0.5 * 0.8**6
    assert quality.tolist() == pytest.approx([0.9, 0.1 * 0.9**6 / best * 0.9, 0.2 * 0.5**6 / best * 0.9, 0.4])


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 6.0), (0.5, 2.0), (0.0, 1.0)])
def test_task_aligned_quality_against_a_loop(alpha, beta):
    generator = torch.Generator().manual_seed(8)
    predicted, boxes = random_boxes(80, 9), random_boxes(80, 10)
    scores, objects = torch.rand(80, generator=generator), torch.randint(0, 6, (80,), generator=generator)
    found = TaskAlignedQuality(alpha, beta)(predicted, boxes, scores, objects, 6)
    iou = box_iou(predicted, boxes).diagonal()
    for p in range(80):
        same = [q for q in range(80) if objects[q] == objects[p]]
        t = {q: scores[q].item() ** alpha * iou[q].item() ** beta for q in same}
        expected = t[p] / max(t.values()) * max(iou[q].item() for q in same)
        assert found[p].item() == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert found.min() >= 0
    assert found.max() <= 1


def test_task_aligned_quality_with_beta_1_and_alpha_0_is_the_iou():
    predicted, boxes = of_width(3, 7, 5)
    quality = TaskAlignedQuality(0.0, 1.0)(predicted, boxes, torch.rand(3), torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(quality, torch.tensor([0.3, 0.7, 0.5]))


def test_task_aligned_quality_without_overlap_or_score_is_0():
    predicted, boxes = of_width(0, 0, 5)
    scores = torch.tensor([0.5, 0.9, 0.0])
    assert TaskAlignedQuality()(predicted, boxes, scores, torch.tensor([0, 0, 1]), 2).tolist() == [0, 0, 0]


@pytest.mark.parametrize("num_objects", [0, 3])
def test_no_positive(num_objects):
    boxes, numbers = torch.zeros(0, 4), torch.zeros(0)
    objects = torch.zeros(0, dtype=torch.int64)
    assert TaskAlignedQuality()(boxes, boxes, numbers, objects, num_objects).shape == (0,)
    assert Centerness()(boxes, boxes).shape == (0,)
    assert IoUQuality()(boxes, boxes).shape == (0,)


def test_smallest_quality():
    predicted, boxes = of_width(0, 3)
    assert IoUQuality(min_quality=1e-6)(predicted, boxes).tolist() == pytest.approx([1e-6, 0.3])


def test_epsilon_of_the_alignment():
    predicted, boxes = of_width(5, 5)
    found = TaskAlignedQuality(1.0, 1.0, eps=0.25)(predicted, boxes, torch.tensor([0.5, 0.25]), torch.tensor([0, 0]), 1)
    assert found.tolist() == pytest.approx([0.25 / 0.5 * 0.5, 0.125 / 0.5 * 0.5])
