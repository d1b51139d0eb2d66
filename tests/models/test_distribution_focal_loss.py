import math

import pytest
import torch

from rdet.models.losses.distribution_focal_loss import DistributionFocalLoss

LOSS = DistributionFocalLoss(loss_weight=1.0)


def test_uniform_distributions_cost_the_same_for_any_target():
    targets = torch.tensor([[0.0, 0.3, 1.5, 2.0]])
    assert LOSS(torch.zeros(1, 12), targets).tolist() == pytest.approx([4 * math.log(3)])


def test_each_side_reads_its_own_distribution():
    """One side (0, 1/2, 1/2) with target 1.5, the others certain of their targets 0, 1 and 2."""
    certain = 100 * torch.eye(3)
    for side in range(4):
        deltas = [certain[0], certain[1], certain[2]]
        targets = [0.0, 1.0, 2.0]
        deltas.insert(side, torch.tensor([-100.0, 0, 0]))
        targets.insert(side, 1.5)
        assert LOSS(torch.cat(deltas)[None], torch.tensor([targets])).tolist() == pytest.approx([math.log(2)])


def test_default_weight_is_a_quarter_of_the_mean_over_sides():
    deltas, targets = torch.randn(5, 4 * 8), torch.rand(5, 4) * 7
    per_side = torch.zeros(5, 4)
    for p in range(5):
        for side in range(4):
            log_s = deltas[p, side * 8 : side * 8 + 8].log_softmax(dim=0)
            y = targets[p, side].item()
            i = int(y)
            per_side[p, side] = -((i + 1 - y) * log_s[i] + (y - i) * log_s[i + 1])
    torch.testing.assert_close(DistributionFocalLoss()(deltas, targets), 0.25 * per_side.mean(dim=1))


@pytest.mark.parametrize("target", [0.0, 0.25, 2.5, 3.9, 4.0])
def test_least_where_the_two_neighbours_carry_the_linear_weights(target):
    left = min(int(target), 3)
    best = torch.full((5,), 1e-12, dtype=torch.float64)
    best[left : left + 2] += torch.tensor([left + 1 - target, target - left], dtype=torch.float64)
    deltas = best.log().repeat(4)[None].requires_grad_()
    targets = torch.full((1, 4), target, dtype=torch.float64)
    loss = LOSS(deltas, targets)
    loss.backward()
    torch.testing.assert_close(deltas.grad, torch.zeros(1, 20, dtype=torch.float64), rtol=0, atol=1e-9)
    generator = torch.Generator().manual_seed(0)
    others = deltas.detach() + torch.randn(50, 20, generator=generator, dtype=torch.float64)
    assert (LOSS(others, targets.expand(50, 4)) > loss - 1e-10).all()
    # The expectation, which the coder decodes, is then the target.
    expectation = deltas.detach().view(4, 5).softmax(dim=1) @ torch.arange(5, dtype=torch.float64)
    assert expectation.tolist() == pytest.approx([target] * 4, abs=1e-9)


def test_targets_out_of_reach_are_taken_as_the_nearest():
    deltas = torch.randn(1, 4 * 4)
    beyond = LOSS(deltas, torch.tensor([[-0.5, -7.0, 3.2, 90.0]]))
    assert torch.equal(beyond, LOSS(deltas, torch.tensor([[0.0, 0.0, 3.0, 3.0]])))


@pytest.mark.parametrize("width", [4, 18, 0])
def test_no_distributions(width):
    message = f"DistributionFocalLoss: {width} numbers for 4 sides are no distributions; use a model.bbox_coder"
    with pytest.raises(ValueError, match=message):
        LOSS(torch.zeros(1, width), torch.zeros(1, 4))
