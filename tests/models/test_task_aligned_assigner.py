import pytest
import torch

from rdet.models.assigners.task_aligned_assigner import TaskAlignedAssigner
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND

PRIORS = PointGenerator([8, 16, 32])([(12, 14), (6, 7), (3, 4)])


def scene(count, seed):
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    corner, centers = rand(count, 2) * torch.tensor([90.0, 70.0]), (PRIORS[:, :2] + PRIORS[:, 2:]) / 2
    return {
        "priors": PRIORS,
        "boxes": torch.cat([corner, corner + 5 + rand(count, 2) * 60], dim=1),
        "labels": torch.randint(4, (count,), generator=generator),
        "scores": rand(len(PRIORS), 4),
        "predicted": torch.cat([centers - rand(len(PRIORS), 2) * 40, centers + rand(len(PRIORS), 2) * 40], dim=1),
    }


def iou_of(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - width * height)


def slow_assignment(priors, boxes, labels, scores, predicted, topk, alpha, beta):
    """Section 3.2, box by box."""
    priors, boxes, labels, scores, predicted = (x.tolist() for x in (priors, boxes, labels, scores, predicted))
    best, result = [0.0] * len(priors), [BACKGROUND] * len(priors)
    for g, box in enumerate(boxes):
        alignment = {}
        for a, (x0, y0, x1, y1) in enumerate(priors):
            if box[0] < (x0 + x1) / 2 < box[2] and box[1] < (y0 + y1) / 2 < box[3]:
                alignment[a] = scores[a][labels[g]] ** alpha * iou_of(predicted[a], box) ** beta
        for a in sorted(alignment, key=lambda a: (-alignment[a], a))[:topk]:
            iou = iou_of(predicted[a], box)
            if alignment[a] > 0 and iou > best[a]:
                best[a], result[a] = iou, g
    return result


@pytest.mark.parametrize("chunk_size", [1, 64])
@pytest.mark.parametrize(
    ("count", "topk", "alpha", "beta"), [(1, 13, 1, 6), (10, 13, 1, 6), (30, 4, 1, 6), (10, 13, 0.5, 2), (4, 999, 1, 6)]
)
def test_equals_the_paper_box_by_box(count, topk, alpha, beta, chunk_size):
    offered = scene(count, count)
    found = TaskAlignedAssigner(topk, alpha, beta, chunk_size=chunk_size)(**offered)
    expected = slow_assignment(**offered, topk=topk, alpha=alpha, beta=beta)
    assert max(expected) >= 0
    assert found.tolist() == expected


# Centres 5, 15 and 25 in x, all inside the box of class 1; IoUs of the predictions 0.5, 0.8 and 1.
THREE = {
    "priors": torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]]),
    "boxes": torch.tensor([[0.0, 0, 40, 10]]),
    "labels": torch.tensor([1]),
    "scores": torch.tensor([[0.9, 0.8], [0.0, 0.1], [0.5, 0.01]]),
    "predicted": torch.tensor([[0.0, 0, 20, 10], [0, 0, 32, 10], [0, 0, 40, 10]]),
}


@pytest.mark.parametrize(
    ("alpha", "beta", "order"),
    [
        (1, 6, [1, 0, 2]),  # 0.0125, 0.0262, 0.01
        (0, 1, [2, 1, 0]),
        (1, 0, [0, 1, 2]),
    ],
)
def test_exponents_by_hand(alpha, beta, order):
    for topk in (1, 2, 3):
        found = TaskAlignedAssigner(topk, alpha, beta)(**THREE)
        assert (found == 0).nonzero().flatten().tolist() == sorted(order[:topk])


def test_no_score_or_no_overlap_is_no_positive():
    for change in ({"scores": torch.zeros(3, 2)}, {"predicted": THREE["predicted"] + 100}):
        assert TaskAlignedAssigner()(**THREE | change).tolist() == [BACKGROUND] * 3


def test_ties():
    """Of equal priors the first, of equal boxes the first."""
    same = {"scores": torch.full((3, 2), 0.5), "predicted": THREE["boxes"].expand(3, 4)}
    assert TaskAlignedAssigner(topk=2)(**THREE | same).tolist() == [0, 0, BACKGROUND]
    twice = {"boxes": THREE["boxes"].expand(2, 4), "labels": torch.tensor([1, 1])}
    for chunk_size in (1, 2):
        assert TaskAlignedAssigner(chunk_size=chunk_size)(**THREE | twice).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("dtype", "step"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)])
def test_half_precision_scores_are_not_raised_to_a_power_in_it(dtype, step):
    """In half precision, the roots of these neighbours are equal, and the first prior would win."""
    score = torch.tensor([[0.5, 1 - 3 * step], [0.5, 1 - 2 * step], [0.5, 0.5]]).to(dtype)
    assert TaskAlignedAssigner(topk=1, alpha=0.125, beta=0)(**THREE | {"scores": score}).tolist() == [-1, 0, -1]


def test_topk_of_nothing():
    with pytest.raises(ValueError, match="expected topk >= 1, got 0"):
        TaskAlignedAssigner(topk=0)


def test_top_of_all_priors_or_of_those_inside():
    """The best aligned prior lies outside of the box: it takes a place among the ``topk``, or it does not."""
    priors = torch.tensor([[20.0, 20, 24, 24], [2, 2, 6, 6], [4, 4, 8, 8]])
    box = torch.tensor([[0.0, 0, 10, 10]])
    predicted = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8]])
    offered = (priors, box, torch.tensor([0]), torch.full((3, 1), 0.5), predicted)
    assert TaskAlignedAssigner(topk=2)(*offered).tolist() == [BACKGROUND, 0, 0]
    assert TaskAlignedAssigner(topk=2, topk_of="all")(*offered).tolist() == [BACKGROUND, 0, BACKGROUND]
    assert TaskAlignedAssigner(inside_margin=4.0)(*offered).tolist() == [BACKGROUND, BACKGROUND, BACKGROUND]
    assert TaskAlignedAssigner(inside_margin=3.9)(*offered).tolist() == [BACKGROUND, 0, 0]
    with pytest.raises(ValueError, match="assigner.topk_of is 'none'; valid: 'inside', 'all'"):
        TaskAlignedAssigner(topk_of="none")
