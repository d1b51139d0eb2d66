import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, one_hot
from torchvision.ops import box_iou

from rdet.models.assigners.sim_ota_assigner import SimOTAAssigner
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND

STRIDES, SIZES = [8, 16, 32], [(12, 14), (6, 7), (3, 4)]
POINTS = PointGenerator(STRIDES)(SIZES)
ANCHORS = AnchorGenerator(STRIDES, octave_base_scale=3, scales_per_octave=1)(SIZES)  # 3 a cell
NUM_CLASSES = 4


def lengths_of(priors):
    return [h * w * len(priors) // len(POINTS) for h, w in SIZES]


def scene(priors, count, seed, spread):
    """Predictions that miss their nearest box by about ``spread`` of its size."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    corner = rand(count, 2) * torch.tensor([90.0, 70.0])
    boxes = torch.cat([corner, corner + 3 + rand(count, 2) * 60], dim=1)
    distance = torch.cdist(priors[:, :2] + priors[:, 2:], boxes[:, :2] + boxes[:, 2:])
    nearest = boxes[distance.argmin(dim=1)]
    size = (nearest[:, 2:] - nearest[:, :2]).repeat(1, 2)
    return {
        "priors": priors,
        "boxes": boxes,
        "labels": torch.randint(NUM_CLASSES, (count,), generator=generator),
        "scores": rand(len(priors), NUM_CLASSES),
        "predicted": nearest + size * spread * (rand(len(priors), 4) - 0.5),
    }


def slow_assignment(priors, boxes, labels, scores, predicted, strides, radius=2.5, topk=10, iou_weight=3, cls_weight=1):
    """Section 2.1 of the report, box by box in float64."""
    boxes, scores, predicted = boxes.double(), scores.double(), predicted.double()
    iou = box_iou(boxes, predicted).tolist()
    centers = ((priors[:, :2] + priors[:, 2:]) / 2).tolist()
    best, result = [(2, math.inf)] * len(priors), [BACKGROUND] * len(priors)
    for g, (left, top, right, bottom) in enumerate(boxes.tolist()):
        target = one_hot(labels[g], NUM_CLASSES).double().expand_as(scores)
        cls_cost = binary_cross_entropy(scores, target, reduction="none").sum(dim=1).tolist()
        key = {}
        for a, (x, y) in enumerate(centers):
            inside = left < x < right and top < y < bottom
            near = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2)) < radius * strides[a]
            if inside or near:
                cost = cls_weight * cls_cost[a] - iou_weight * math.log(iou[g][a] + 1e-8)
                key[a] = (2 - inside - near, cost)
        k = max(1, int(sum(sorted((iou[g][a] for a in key), reverse=True)[:topk])))
        for a in sorted(key, key=lambda a: (key[a], a))[:k]:
            if key[a] < best[a]:
                best[a], result[a] = key[a], g
    return result


@pytest.mark.parametrize("chunk_size", [1, 64])
@pytest.mark.parametrize("priors", [POINTS, ANCHORS], ids=["points", "anchors"])
@pytest.mark.parametrize(
    ("count", "spread", "options"),
    [
        (1, 0.3, {}),
        (10, 0.2, {}),
        (25, 1.0, {}),
        (10, 0.2, {"radius": 0.6, "topk": 25, "iou_weight": 1.0, "cls_weight": 2.0}),
    ],
)
def test_equals_the_report_box_by_box(priors, count, spread, options, chunk_size):
    offered = scene(priors, count, count, spread)
    strides = [s for s, length in zip(STRIDES, lengths_of(priors), strict=True) for _ in range(length)]
    expected = slow_assignment(**offered, strides=strides, **options)
    names = {"radius": "center_radius", "topk": "candidate_topk"}
    assigner = SimOTAAssigner(**{names.get(key, key): value for key, value in options.items()}, chunk_size=chunk_size)
    assert max(expected) >= 0
    assert assigner(**offered, level_lengths=lengths_of(priors)).tolist() == expected
    if priors is POINTS:  # whose width is the stride
        assert assigner(**offered).tolist() == expected


def slow_shared_assignment(priors, boxes, labels, scores, predicted, radius=2.5, topk=10):
    """The authors' code: a candidate of one box is one of all, and a prior claimed twice goes to the cheapest box."""
    iou = box_iou(boxes, predicted)  # (G, A)
    center = (priors[:, :2] + priors[:, 2:]) / 2
    inside = torch.stack([((center > box[:2]) & (center < box[2:])).all(dim=1) for box in boxes])
    reach = radius * (priors[:, 2] - priors[:, 0])
    near = torch.stack([(center - (box[:2] + box[2:]) / 2).abs().amax(dim=1) < reach for box in boxes])
    candidates = (inside | near).any(dim=0).nonzero()[:, 0].tolist()
    claimed: dict[int, list[int]] = {}
    cost = {}
    for g in range(len(boxes)):
        target = one_hot(labels[g], NUM_CLASSES).float().expand_as(scores)
        cls_cost = binary_cross_entropy(scores, target, reduction="none").sum(dim=1)
        far = 1e5 * ~(inside[g] & near[g])
        cost[g] = (cls_cost - 3 * (iou[g] + 1e-8).log() + far).tolist()
        k = max(1, int(sum(sorted(iou[g, candidates].tolist(), reverse=True)[:topk])))
        for a in sorted(candidates, key=lambda a: cost[g][a])[:k]:
            claimed.setdefault(a, []).append(g)
    result = [BACKGROUND] * len(priors)
    for a, who in claimed.items():
        result[a] = who[0] if len(who) == 1 else min(range(len(boxes)), key=lambda g: cost[g][a])
    return result


@pytest.mark.parametrize("chunk_size", [1, 4, 64])
@pytest.mark.parametrize(("count", "spread"), [(1, 0.3), (10, 0.2), (25, 1.0), (60, 0.4)])
def test_shared_candidates_are_those_of_the_authors_code(count, spread, chunk_size):
    offered = scene(POINTS, count, count, spread)
    found = SimOTAAssigner(share_candidates=True, chunk_size=chunk_size)(**offered).tolist()
    assert found == slow_shared_assignment(**offered)
    assert spread < 1 or found != SimOTAAssigner()(**offered).tolist()


def test_shared_candidates_without_boxes_or_candidates():
    offered = scene(POINTS, 3, 0, 0.3)
    assigner = SimOTAAssigner(share_candidates=True)
    nothing = {"boxes": offered["boxes"][:0], "labels": offered["labels"][:0]}
    assert (assigner(**offered | nothing) == BACKGROUND).all()
    assert (assigner(**offered | {"boxes": offered["boxes"] + 5000}) == BACKGROUND).all()


@pytest.mark.parametrize(("iou", "positives"), [(1.0, 10), (0.75, 7), (0.5, 5), (0.25, 2), (0.125, 1), (0.0, 1)])
def test_better_predictions_get_a_box_more_positives(iou, positives):
    """Sixteen points near the centre of a box, all with the same IoU: k is ten of them, cut to a whole number."""
    priors = PointGenerator([8])([(4, 4)])
    box = torch.tensor([[0.0, 0, 32, 32]])
    predicted = (box * torch.tensor([1, 1, 1, iou])).expand(16, 4)
    found = SimOTAAssigner()(priors, box, torch.tensor([0]), torch.full((16, 1), 0.5), predicted)
    assert found.tolist() == [0] * positives + [BACKGROUND] * (16 - positives)  # equal costs: the first


def test_weights_by_hand():
    """Two points: one scores better, one localises better. Costs 0.105 - log 0.5 and 0.511 - log 0.9."""
    offered = {
        "priors": torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]]),
        "boxes": torch.tensor([[0.0, 0, 20, 8]]),
        "labels": torch.tensor([0]),
        "scores": torch.tensor([[0.9], [0.6]]),
        "predicted": torch.tensor([[0.0, 0, 10, 8], [0, 0, 18, 8]]),
    }
    assert SimOTAAssigner(iou_weight=1)(**offered).tolist() == [BACKGROUND, 0]  # 0.798 and 0.616
    assert SimOTAAssigner(iou_weight=0.5)(**offered).tolist() == [0, BACKGROUND]  # 0.452 and 0.564
    assert SimOTAAssigner(iou_weight=0.5, cls_weight=0)(**offered).tolist() == [BACKGROUND, 0]


def test_inside_and_near_comes_before_any_cost():
    """The prior off the box's border predicts perfectly, the one inside hardly at all."""
    offered = {
        "priors": torch.tensor([[0.0, 0, 8, 8], [12, 0, 20, 8]]),
        "boxes": torch.tensor([[0.0, 0, 10, 8]]),
        "labels": torch.tensor([0]),
        "scores": torch.tensor([[0.0], [1.0]]),
        "predicted": torch.tensor([[90.0, 0, 98, 8], [0, 0, 10, 8]]),
    }
    assert SimOTAAssigner()(**offered).tolist() == [0, BACKGROUND]
    outside = {key: offered[key][1:] for key in ("priors", "scores", "predicted")}
    assert SimOTAAssigner()(**offered | outside).tolist() == [0]  # but alone, it is taken


def test_scores_of_exactly_0_and_1_have_a_finite_cost():
    offered = {
        "priors": torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]]),
        "boxes": torch.tensor([[0.0, 0, 20, 8]]),
        "labels": torch.tensor([0]),
        "scores": torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
        "predicted": torch.tensor([[0.0, 0, 20, 8], [0, 0, 10, 8]]),
    }
    assert SimOTAAssigner()(**offered).tolist() == [BACKGROUND, 0]  # 200 and 3 log 2
    assert SimOTAAssigner(cls_weight=0.01)(**offered).tolist() == [0, BACKGROUND]  # 2 and 3 log 2
    assert SimOTAAssigner(cls_weight=0)(**offered).tolist() == [0, BACKGROUND]


def test_impossible_options():
    with pytest.raises(ValueError, match="expected center_radius > 0 and candidate_topk >= 1, got 0 and 10"):
        SimOTAAssigner(center_radius=0)
    with pytest.raises(ValueError, match="expected iou_weight >= 0 and cls_weight >= 0, got -1 and 1"):
        SimOTAAssigner(iou_weight=-1, cls_weight=1)
