import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder

from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 500
    return torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 300], dim=1)


PRIORS, BOXES = random_boxes(500, 0), random_boxes(500, 1)


@pytest.mark.parametrize("count", [500, 1, 0])
@pytest.mark.parametrize("options", [{}, {"target_means": (0.1, -0.2, 0.3, 0.4), "target_stds": (0.1, 0.1, 0.2, 0.2)}])
def test_round_trip(options, count):
    coder = DeltaXYWHBBoxCoder(**options)
    decoded = coder.decode(PRIORS[:count], coder.encode(PRIORS[:count], BOXES[:count]))
    torch.testing.assert_close(decoded, BOXES[:count], rtol=1e-5, atol=1e-3)
    assert decoded.shape == (count, 4)


def test_values():
    coder = DeltaXYWHBBoxCoder()
    prior, box = torch.tensor([10.0, 20, 30, 60]), torch.tensor([20.0, 20, 60, 40])
    torch.testing.assert_close(coder.encode(prior, box), torch.tensor([1.0, -0.25, math.log(2), -math.log(2)]))
    assert coder.encode(prior, prior).tolist() == [0, 0, 0, 0]
    assert coder.box_dim == 4


def test_equals_torchvision():
    theirs, ours = BoxCoder(weights=(1.0, 1.0, 1.0, 1.0)), DeltaXYWHBBoxCoder()
    deltas = theirs.encode_single(BOXES, PRIORS)
    torch.testing.assert_close(ours.encode(PRIORS, BOXES), deltas, rtol=1e-5, atol=1e-6)
    wild = deltas * 3
    torch.testing.assert_close(ours.decode(PRIORS, wild), theirs.decode_single(wild, PRIORS), rtol=1e-5, atol=1e-2)


def test_means_and_stds_are_subtracted_and_divided():
    plain = DeltaXYWHBBoxCoder().encode(PRIORS, BOXES)
    means, stds = (0.1, -0.2, 0.3, 0.4), (0.1, 0.1, 0.2, 0.5)
    scaled = DeltaXYWHBBoxCoder(means, stds).encode(PRIORS, BOXES)
    torch.testing.assert_close(scaled, (plain - torch.tensor(means)) / torch.tensor(stds))
    # torchvision's weights are one over the standard deviations
    theirs = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)).encode_single(BOXES, PRIORS)
    ours = DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)).encode(PRIORS, BOXES)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("max_ratio", "side"), [(1000 / 16, 625.0), (4.0, 40.0)])
def test_wild_sizes_are_clamped(max_ratio, side):
    coder = DeltaXYWHBBoxCoder(max_ratio=max_ratio)
    box = coder.decode(torch.tensor([0.0, 0, 10, 10]), torch.tensor([0.0, 0, 1e30, 1e30]))
    torch.testing.assert_close(box[2:] - box[:2], torch.tensor([side, side]))
    shrunk = coder.decode(torch.tensor([0.0, 0, 10, 10]), torch.tensor([0.0, 0, -1e30, -1e30]))
    assert shrunk.tolist() == [5, 5, 5, 5]


def test_leading_dimensions_broadcast():
    coder = DeltaXYWHBBoxCoder()
    deltas = torch.randn(3, 500, 4, generator=torch.Generator().manual_seed(0)) / 4
    assert torch.equal(coder.decode(PRIORS, deltas)[1], coder.decode(PRIORS, deltas[1]))


def test_clamped_on_both_sides():
    prior, deltas = torch.tensor([[0.0, 0, 64, 64]]), torch.tensor([[0.0, 0, -9, 9]])
    for both, width in ((False, 64 * math.exp(-9)), (True, 64 * 16 / 1000)):
        box = DeltaXYWHBBoxCoder(clamp_both_sides=both).decode(prior, deltas)[0]
        assert (box[2] - box[0]).item() == pytest.approx(width, rel=1e-3)
        assert (box[3] - box[1]).item() == pytest.approx(64 * 1000 / 16, rel=1e-5)
