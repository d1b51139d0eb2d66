"""Suppression of priors against torchvision's."""

import pytest
import torch
from torchvision.ops import box_iou, nms

from rdet.models.mining import suppression
from rdet.models.mining.suppression import greedy_survivors, overlapping_pairs
from rdet.registry import MODELS


def random_boxes(count=600, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 200
    return torch.cat([corner, corner + 4 * 32 ** torch.rand(count, 2, generator=generator)], dim=1)


def priors():
    generator = MODELS.build({"type": "AnchorGenerator", "strides": [8, 16, 32]})
    return generator([(12, 16), (6, 8), (3, 4)], "cpu")


@pytest.mark.parametrize("chunk", [512, 7])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("boxes", [random_boxes(), priors(), random_boxes(1)])
def test_all_pairs_and_no_others(boxes, threshold, chunk, monkeypatch):
    monkeypatch.setattr(suppression, "_CHUNK", chunk)
    expected = (box_iou(boxes, boxes) > threshold).fill_diagonal_(False)
    pairs = overlapping_pairs(boxes, threshold)
    assert pairs.shape[1] == expected.sum()
    assert expected[pairs[0], pairs[1]].all()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("boxes", [random_boxes(), priors()])
def test_what_is_left_is_what_nms_leaves(boxes, threshold):
    pairs = overlapping_pairs(boxes, threshold)
    for seed in range(3):
        scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(seed))
        order = scores.argsort(descending=True)
        assert torch.equal(greedy_survivors(order, pairs, len(boxes)), nms(boxes, scores, threshold))
        some = order[order % 3 > 0]
        assert torch.equal(greedy_survivors(some, pairs, len(boxes)), some[nms(boxes[some], scores[some], threshold)])


def test_a_long_chain():
    """Each overlaps the next, in the order of suppression: every second one stays."""
    boxes = torch.arange(50.0)[:, None] * torch.tensor([4.0, 0, 4, 0]) + torch.tensor([0.0, 0, 10, 10])
    order = torch.arange(50)
    assert torch.equal(greedy_survivors(order, overlapping_pairs(boxes, 0.4), 50), order[::2])


def test_no_boxes():
    assert overlapping_pairs(torch.zeros(0, 4), 0.5).shape == (2, 0)
    assert greedy_survivors(torch.arange(0), torch.zeros(2, 0, dtype=torch.int64), 3).tolist() == []
