import pytest
import torch

from rdet.models.coders.distribution_bbox_coder import DistributionBBoxCoder

POINTS = torch.tensor([[16.0, 24, 24, 32], [0, 0, 32, 32]])  # strides 8 and 32 around (20, 28) and (16, 16)
BOXES = torch.tensor([[12.0, 4, 60, 30], [-16, 15, 100, 20]])
DISTANCES = torch.tensor([[1.0, 3.0, 5.0, 0.25], [1.0, 1 / 32, 84 / 32, 4 / 32]])


def logits_of(distances, reg_max):
    """(..., 4) -> (..., 4 * (reg_max + 1)): all weight on the two values around each distance, by hand."""
    weights = torch.full((*distances.shape, reg_max + 1), 1e-30)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in distances.shape)).tolist():
        distance = distances[tuple(index)].item()
        below = int(distance)
        weights[(*index, below)] = max(below + 1 - distance, 1e-30)
        weights[(*index, below + 1)] = max(distance - below, 1e-30)
    return weights.log().flatten(-2)


def test_distances_are_in_strides():
    coder = DistributionBBoxCoder()
    torch.testing.assert_close(coder.encode(POINTS, BOXES), DISTANCES)
    assert coder.box_dim == 68
    assert DistributionBBoxCoder(reg_max=7).box_dim == 32


@pytest.mark.parametrize("reg_max", [16, 7])
def test_round_trip(reg_max):
    coder = DistributionBBoxCoder(reg_max)
    logits = logits_of(coder.encode(POINTS, BOXES), reg_max)
    assert logits.shape == (2, coder.box_dim)
    torch.testing.assert_close(coder.decode(POINTS, logits), BOXES, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(coder.encode(POINTS, coder.decode(POINTS, logits)), DISTANCES, rtol=0, atol=1e-5)


def test_expectation_by_hand():
    """softmax(0, log 2, 0) is (1/4, 1/2, 1/4): expectation 1. Equal logits give the middle, reg_max / 2."""
    coder = DistributionBBoxCoder(reg_max=2)
    log2, log6 = torch.tensor([2.0, 6.0]).log()
    left, top = torch.stack([0 * log2, log2, 0 * log2]), torch.zeros(3)
    right, bottom = torch.tensor([0, 0, log6]), torch.tensor([log6, 0, 0])  # (0 + 1 + 2 * 6) / 8 and (0 + 1 + 2) / 8
    box = coder.decode(POINTS[0], torch.cat([left, top, right, bottom]))
    torch.testing.assert_close(box, torch.tensor([20.0 - 8, 28 - 8, 20 + 8 * 13 / 8, 28 + 8 * 3 / 8]))


def test_targets_end_short_of_reg_max_and_at_zero():
    far = torch.tensor([[-1000.0, 30, 15, 1000]])  # the second and the third side are on the wrong side of (20, 28)
    targets = DistributionBBoxCoder(reg_max=16).encode(POINTS[:1], far)
    torch.testing.assert_close(targets, torch.tensor([[15.99, 0, 0, 15.99]]))


def test_scale_makes_anchors_of_a_level_equal_to_its_points():
    anchor = torch.tensor([-12.0, -4, 52, 60])  # 8 strides around the centre of the first point
    scaled, plain = DistributionBBoxCoder(prior_scale=8.0), DistributionBBoxCoder()
    assert torch.equal(scaled.encode(anchor, BOXES[0]), plain.encode(POINTS[0], BOXES[0]))
    logits = torch.randn(68, generator=torch.Generator().manual_seed(0))
    assert torch.equal(scaled.decode(anchor, logits), plain.decode(POINTS[0], logits))


def test_wild_predictions_are_finite_and_within_reach():
    coder = DistributionBBoxCoder(reg_max=4)
    logits = torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) * 1e37
    decoded = coder.decode(POINTS[:1], logits)
    assert torch.isfinite(decoded).all()
    assert (decoded - torch.tensor([20.0, 28, 20, 28])).abs().max() == 4 * 8


def test_half_precision_logits_give_float_boxes():
    logits = torch.randn(2, 68, generator=torch.Generator().manual_seed(0)).bfloat16()
    coder = DistributionBBoxCoder()
    with torch.autocast("cpu", torch.bfloat16):
        half = coder.decode(POINTS, logits)
    assert half.dtype == torch.float32
    assert torch.equal(half, coder.decode(POINTS, logits.float()))


def test_gradient_is_that_of_the_expectation():
    """dE/dx_i = p_i (i - E), here for the left side of a point of stride 8."""
    coder = DistributionBBoxCoder(reg_max=3)
    logits = torch.randn(16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    coder.decode(POINTS[0], logits)[0].backward()
    p = logits.detach()[:4].softmax(0)
    values = torch.arange(4.0)
    torch.testing.assert_close(logits.grad[:4], -8 * p * (values - (p * values).sum()))
    assert logits.grad[4:].abs().max() == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_shapes_and_broadcasting(count):
    coder = DistributionBBoxCoder()
    logits = torch.randn(3, count, 68, generator=torch.Generator().manual_seed(0))
    decoded = coder.decode(POINTS[:count], logits)
    assert decoded.shape == (3, count, 4)
    assert torch.equal(decoded[1], coder.decode(POINTS[:count], logits[1]))
    assert coder.encode(POINTS[:count], BOXES[:count]).shape == (count, 4)


def test_reg_max_that_makes_no_sense():
    with pytest.raises(ValueError, match="DistributionBBoxCoder.reg_max is 0; it must be at least 1"):
        DistributionBBoxCoder(reg_max=0)


@pytest.mark.parametrize("margin", [0.01, 0.1])
def test_margin_below_the_last_value(margin):
    coder = DistributionBBoxCoder(reg_max=4, margin=margin)
    far = coder.encode(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[-900.0, 2, 900, 900]]))
    assert far[0, 0].item() == far[0, 2].item() == pytest.approx(4 - margin)
    assert far[0, 1].item() == pytest.approx(0.25)
    with pytest.raises(ValueError, match="margin is 0; it must lie between 0 and 1"):
        DistributionBBoxCoder(margin=0)


def test_the_largest_distance_is_in_pixels():
    logits = torch.zeros(1, 4, 5)
    logits[..., 4] = 50  # 4 strides of 8 pixels on each side
    box = DistributionBBoxCoder(reg_max=4, max_distance=10).decode(torch.tensor([[0.0, 0, 8, 8]]), logits.flatten(1))
    assert box.tolist() == [[-6, -6, 14, 14]]
