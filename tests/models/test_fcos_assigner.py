import math
from types import SimpleNamespace

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.image_list import ImageList

from rdet.models.assigners.fcos_assigner import FCOSAssigner
from rdet.models.priors.anchor_generator import AnchorGenerator as AnchorBoxes
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND

STRIDES = [8, 16, 32, 64, 128]
SIZES = [(48, 64), (24, 32), (12, 16), (6, 8), (3, 4)]  # over 512 x 384 pixels
LIMITS = [(-1, 64), (64, 128), (128, 256), (256, 512), (512, math.inf)]  # pixels, the paper's


def boxes_of(count, seed):
    """Corners in half pixels, sides in fours: no distance is a limit, no areas differ by less than torchvision sees."""
    generator = torch.Generator().manual_seed(seed)
    corner = (torch.rand(count, 2, generator=generator) * torch.tensor([480.0, 360.0])).floor() + 0.5
    side = 4 * (1 + (torch.rand(count, 2, generator=generator) ** 3 * 150).floor())
    return torch.cat([corner, corner + side], dim=1)


def torchvision_assignment(boxes, radius):
    """What torchvision's FCOS hands to its losses."""
    anchors = AnchorGenerator(tuple((s,) for s in STRIDES), ((1.0,),) * 5)
    maps = [torch.zeros(1, 1, *size) for size in SIZES]
    priors = anchors(ImageList(torch.zeros(1, 3, 384, 512), [(384, 512)]), maps)
    handed = []
    head = SimpleNamespace(compute_loss=lambda targets, outputs, anchors, matched: handed.extend(matched))
    model = SimpleNamespace(center_sampling_radius=radius, head=head)
    targets = [{"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.int64)}]
    FCOS.compute_loss(model, targets, {}, priors, [h * w for h, w in SIZES])
    return priors[0], handed[0]


@pytest.mark.parametrize("count", [0, 1, 20, 400])
def test_defaults_are_torchvisions(count):
    boxes = boxes_of(count, count)
    priors, expected = torchvision_assignment(boxes, 1.5)
    assert torch.equal(FCOSAssigner()(priors, boxes), expected)
    assert torch.equal(priors, PointGenerator(STRIDES, center_offset=0.0)(SIZES))
    priors, expected = torchvision_assignment(boxes, 1e6)
    assert torch.equal(FCOSAssigner(center_sampling_radius=None, chunk_size=9)(priors, boxes), expected)
    assert (expected >= 0).any() or count == 0


def slow_assignment(priors, boxes, radius):
    result = []
    levels = [limits for limits, (h, w) in zip(LIMITS, SIZES, strict=True) for _ in range(h * w)]
    for (x0, y0, x1, y1), (low, high) in zip(priors.tolist(), levels, strict=True):
        x, y, stride = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
        found = []
        for g, (left, top, right, bottom) in enumerate(boxes.tolist()):
            sides = (x - left, y - top, right - x, bottom - y)
            offset = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2))
            if min(sides) > 0 and low < max(sides) <= high and (radius is None or offset < radius * stride):
                found.append(((right - left) * (bottom - top), g))
        result.append(min(found)[1] if found else BACKGROUND)
    return result


@pytest.mark.parametrize("radius", [None, 1.5, 0.75])
def test_equals_the_paper_point_by_point(radius):
    boxes, priors = boxes_of(40, 1).round(), PointGenerator(STRIDES)(SIZES)  # whole numbers: some are at the limits
    expected = slow_assignment(priors, boxes, radius)
    assert FCOSAssigner(center_sampling_radius=radius)(priors, boxes).tolist() == expected


@pytest.mark.parametrize("scale", [1, 4, 8])
def test_anchors_of_any_size_are_points(scale):
    """With the levels' strides, which the detector knows, what counts is where the centres are."""
    boxes = boxes_of(40, 2)
    lengths = [h * w for h, w in SIZES]
    anchors = AnchorBoxes(STRIDES, scale, 1, [1.0])(SIZES)
    points = PointGenerator(STRIDES, center_offset=0.0)(SIZES)
    found = FCOSAssigner(strides=STRIDES)(anchors, boxes, level_lengths=lengths)
    assert torch.equal(found, FCOSAssigner()(points, boxes))
    assert (found >= 0).sum() > 40


# Three levels of one point each, at (0, 0).
CONCENTRIC = torch.tensor([[-4.0, -4, 4, 4], [-8, -8, 8, 8], [-16, -16, 16, 16]])


@pytest.mark.parametrize(
    ("side", "level"), [(1.0, 0), (64.0, 0), (64.5, 1), (128.0, 1), (128.5, 2), (5000.0, 2)]
)  # upper limits belong to a level, and the last has none
def test_each_distance_has_one_level(side, level):
    box = torch.tensor([[-1.0, -1, side, 1]])
    expected = [BACKGROUND] * 3
    expected[level] = 0
    assert FCOSAssigner(center_sampling_radius=None)(CONCENTRIC, box).tolist() == expected
    strict = FCOSAssigner(center_sampling_radius=None, include_upper=False)
    assert strict(CONCENTRIC, box).tolist() == ([BACKGROUND] * 3 if side in (64.0, 128.0) else expected)


@pytest.mark.parametrize("radius", [1.5, 0.75])
def test_without_the_upper_limit_it_is_torchvisions_on_the_limits_too(radius):
    boxes = boxes_of(400, 1).round()
    priors, expected = torchvision_assignment(boxes, radius)
    strict = FCOSAssigner(center_sampling_radius=radius, include_upper=False)
    assert torch.equal(strict(priors, boxes), expected)
    assert not torch.equal(FCOSAssigner(center_sampling_radius=radius)(priors, boxes), expected)


def test_one_level_takes_every_size():
    boxes = torch.tensor([[-1.0, -1, 9, 9], [-1, -1, 900, 900]])
    for box in boxes:
        assert FCOSAssigner(center_sampling_radius=None)(CONCENTRIC[:1], box[None]).tolist() == [0]


def test_smallest_box_wins_and_the_first_of_equal_ones():
    boxes = torch.tensor([[-9.0, -9, 9, 9], [-5, -5, 5, 5], [-5, -5, 5, 5]])
    for chunk_size in (1, 2, 64):
        assert FCOSAssigner(chunk_size=chunk_size)(CONCENTRIC[:1], boxes).tolist() == [1]


@pytest.mark.parametrize(("shift", "expected"), [(11.5, 0), (12.0, BACKGROUND)])
def test_centre_sampling_is_strict(shift, expected):
    box = torch.tensor([[-20.0, -20, 20, 20]]) + torch.tensor([shift, 0, shift, 0])
    assert FCOSAssigner()(CONCENTRIC[:1], box).tolist() == [expected]  # 1.5 strides are 12 pixels


def test_regress_range_in_strides():
    box = torch.tensor([[-1.0, -1, 40, 1]])
    assigner = FCOSAssigner(regress_range=(2.0, 4.0), center_sampling_radius=None)
    assert assigner(CONCENTRIC, box).tolist() == [BACKGROUND, 0, BACKGROUND]


def test_impossible_options():
    with pytest.raises(ValueError, match=r"expected 0 <= low < high in regress_range, got \(8, 4\)"):
        FCOSAssigner(regress_range=(8, 4))
    with pytest.raises(ValueError, match="expected center_sampling_radius > 0, or None, got 0"):
        FCOSAssigner(center_sampling_radius=0)


@pytest.mark.parametrize(("lower", "upper"), [(False, True), (True, True), (True, False), (False, False)])
def test_a_distance_of_exactly_a_limit(lower, upper):
    """64 is the upper limit of the first of the three levels and the lower limit of the second."""
    assigner = FCOSAssigner(center_sampling_radius=None, include_lower=lower, include_upper=upper)
    found = assigner(CONCENTRIC, torch.tensor([[-1.0, -1, 64, 1]]))
    assert found.tolist() == [0 if upper else BACKGROUND, 0 if lower else BACKGROUND, BACKGROUND]
