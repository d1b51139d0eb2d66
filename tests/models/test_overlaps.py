"""Pairs on a grid: none that matters is missing, whatever the shapes."""

import numpy as np
import pytest
import torch

from rdet.models.assigners.overlaps import grid_pairs, paired_iou_on_host
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.boxes import paired_iou

STRIDES = [8, 16, 32]
GENERATORS = {
    "anchors": AnchorGenerator(STRIDES),
    "rounded": AnchorGenerator(STRIDES, rounded=True),
    "points": PointGenerator(STRIDES),
    "fitted": FittedAnchorGenerator(STRIDES, [[(5.3, 40.1), (9.0, 8.0)], [(33.3, 21.0), (2.0, 70.0)], [(90, 40)] * 2]),
}
SIZES = {"even": [(16, 20), (8, 10), (4, 5)], "uneven": [(13, 21), (7, 11), (4, 6)], "small": [(1, 1), (1, 1), (1, 1)]}


def boxes_of(count, seed):
    """From a tenth of a pixel to larger than the image, also outside of it."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.exp(torch.rand(count, 2, generator=generator) * 8 - 2.3)
    center = torch.rand(count, 2, generator=generator) * torch.tensor([200.0, 160.0]) - 20
    return torch.cat([center - size / 2, center + size / 2], dim=1)


@pytest.mark.parametrize("min_iou", [0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", GENERATORS)
def test_none_that_matters_is_missing(kind, size, min_iou):
    generator, sizes = GENERATORS[kind], SIZES[size]
    priors, boxes = generator(sizes), boxes_of(200, seed=3)
    pairs = grid_pairs(boxes.numpy(), generator.grid(sizes), min_iou)
    iou = paired_iou(boxes[:, None], priors)  # (G, A)
    found = np.zeros(iou.shape, dtype=int)
    np.add.at(found, pairs, 1)
    matter = (iou > 0) & ((iou >= min_iou) | (iou == iou.amax(dim=1, keepdim=True)))
    assert (found[matter.numpy()] == 1).all()
    assert found.max() <= 1
    assert (np.diff(pairs[0]) >= 0).all()


def test_few_others_are_among_them():
    sizes = [(100, 168), (50, 84), (25, 42)]
    priors = GENERATORS["anchors"](sizes)
    corner = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) * 600
    boxes = torch.cat([corner, corner + 20 + corner.flip(0) / 4], dim=1)
    box, prior = grid_pairs(boxes.numpy(), GENERATORS["anchors"].grid(sizes), 0.4)
    assert len(box) < 2 * (paired_iou(boxes[box], priors[prior]) >= 0.4).sum()


@pytest.mark.parametrize(
    "boxes", [torch.zeros(0, 4), torch.tensor([[9.0, 9, 9, 30]]), torch.tensor([[-900.0, -900, -800, -850]])]
)
def test_boxes_that_overlap_nothing(boxes):
    generator, sizes = GENERATORS["anchors"], SIZES["even"]
    box, prior = grid_pairs(boxes.numpy(), generator.grid(sizes), 0.4)
    assert (paired_iou(boxes[box], generator(sizes)[prior]) == 0).all()


def test_iou_on_the_host_is_that_on_the_device_to_the_bit():
    first, second = boxes_of(500, seed=1), boxes_of(500, seed=2)
    assert np.array_equal(paired_iou_on_host(first.numpy(), second.numpy()), paired_iou(first, second).numpy())
    assert (paired_iou_on_host(first.numpy(), second.numpy()) > 0).sum() > 30
