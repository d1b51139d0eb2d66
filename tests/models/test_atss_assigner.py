from fractions import Fraction

import pytest
import torch

from rdet.models.assigners.atss_assigner import ATSSAssigner
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND

STRIDES, SIZES = [8, 16, 32], [(12, 14), (6, 7), (3, 4)]
CELLS = [h * w for h, w in SIZES]
ONE = AnchorGenerator(STRIDES, octave_base_scale=4, scales_per_octave=1, ratios=(1.0,))(SIZES)
NINE = AnchorGenerator(STRIDES, octave_base_scale=2)(SIZES)
POINTS = PointGenerator(STRIDES)(SIZES)


def quarters(boxes):
    """Numbers with which float32 makes no error in centres and distances, so that ties stay ties."""
    return (boxes * 4).round() / 4


def boxes_of(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([90.0, 70.0])
    return quarters(torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 60], dim=1))


def iou_of(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return Fraction(0)
    return width * height / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - width * height)


def slow_assignment(priors, boxes, lengths, topk):
    """Algorithm 1 of the paper with exact numbers."""
    priors, boxes = ([[Fraction(x) for x in box] for box in some.tolist()] for some in (priors, boxes))
    best = [Fraction(-1)] * len(priors)
    result = [BACKGROUND] * len(priors)
    for g, box in enumerate(boxes):

        def distance(a, box=box):
            return sum((priors[a][i] + priors[a][i + 2] - box[i] - box[i + 2]) ** 2 for i in (0, 1))

        candidates, start = [], 0
        for length in lengths:
            candidates += sorted(range(start, start + length), key=lambda a: (distance(a), a))[:topk]
            start += length
        iou = {a: iou_of(priors[a], box) for a in candidates}
        mean = sum(iou.values()) / len(iou)
        variance = sum((value - mean) ** 2 for value in iou.values()) / (len(iou) - 1)
        for a, value in iou.items():
            x, y = (priors[a][0] + priors[a][2]) / 2, (priors[a][1] + priors[a][3]) / 2
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            if inside and value >= mean and (value - mean) ** 2 >= variance and value > best[a]:
                best[a], result[a] = value, g
    return result


@pytest.mark.parametrize("chunk_size", [1, 64])
@pytest.mark.parametrize(
    ("priors", "per_cell", "topk", "count"),
    [(ONE, 1, 9, 1), (ONE, 1, 9, 12), (NINE, 9, 9, 10), (NINE, 9, 20, 10), (POINTS, 1, 9, 12), (POINTS, 1, 300, 6)],
)
def test_equals_the_paper_box_by_box(priors, per_cell, topk, count, chunk_size):
    priors, boxes = quarters(priors), boxes_of(count, topk + count)
    lengths = [cells * per_cell for cells in CELLS]
    expected = slow_assignment(priors, boxes, lengths, topk)
    assert max(expected) >= 0
    found = ATSSAssigner(topk=topk, chunk_size=chunk_size)(priors, boxes, level_lengths=lengths)
    assert found.tolist() == expected


def test_by_hand():
    """IoUs 1, 1/3, 0 and 0 (the last is no candidate): threshold 4/9 + 0.51 = 0.95."""
    priors = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10], [60, 0, 70, 10]])
    box = torch.tensor([[0.0, 0, 10, 10]])
    assert ATSSAssigner(topk=3)(priors, box).tolist() == [0, -1, -1, -1]
    # Of two candidates none exceeds mean + deviation; a single candidate is its own mean.
    assert ATSSAssigner(topk=2)(priors, box).tolist() == [-1, -1, -1, -1]
    assert ATSSAssigner(topk=1)(priors, box).tolist() == [0, -1, -1, -1]
    # On each level one candidate, IoUs 1 and 0.
    assert ATSSAssigner(topk=1)(priors, box, level_lengths=[2, 2]).tolist() == [-1, -1, -1, -1]


def test_equal_overlaps_are_all_positive():
    """The mean of equal IoUs is that IoU, whatever their number and rounding."""
    for count in (1, 5, 10, 15, 25):
        for side in (4, 5, 13):
            corner = torch.arange(float(count))[:, None].repeat(1, 2)
            priors = torch.cat([corner, corner + side], dim=1)
            found = ATSSAssigner(topk=count)(priors, torch.tensor([[-40.0, -50, 79, 68]]))
            assert found.tolist() == [0] * count


def test_centre_on_the_border_is_outside():
    priors = torch.tensor([[-5.0, 0, 5, 10]])
    assert ATSSAssigner()(priors, torch.tensor([[0.0, 0, 10, 10]])).tolist() == [BACKGROUND]
    assert ATSSAssigner()(priors, torch.tensor([[-0.5, 0, 10, 10]])).tolist() == [0]


def test_first_of_priors_at_equal_distance_and_of_equal_boxes():
    priors = torch.tensor([[0.0, 0, 4, 4], [6, 0, 10, 4], [0, 6, 4, 10], [6, 6, 10, 10]])
    box = torch.tensor([[0.0, 0, 10, 10]])
    assert ATSSAssigner(topk=3)(priors, box).tolist() == [0, 0, 0, -1]
    assert ATSSAssigner(topk=3, chunk_size=1)(priors, box.expand(3, 4)).tolist() == [0, 0, 0, -1]


def test_topk_of_nothing():
    with pytest.raises(ValueError, match="expected topk >= 1, got 0"):
        ATSSAssigner(topk=0)


@pytest.mark.parametrize(("margin", "expected"), [(0.0, [0, 0]), (0.01, [BACKGROUND, 0])])
def test_inside_by_a_margin(margin, expected):
    """The left side of the box is 0.005 and 0.02 pixels beside the two centres."""
    box = torch.tensor([[5.0, -5, 15, 15]])
    assigner = ATSSAssigner(topk=1, inside_margin=margin)
    found = [assigner(torch.tensor([[x, 0, x + 10, 10]]), box).item() for x in (0.005, 0.02)]
    assert found == expected
