import math

import pytest
import torch

from rdet.models.losses.balanced_l1_loss import BalancedL1Loss

B = math.exp(3) - 1  # of the defaults: alpha 0.5, gamma 1.5


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (0.0, 0.0),
        (0.5, 0.5 / B * (B / 2 + 1) * math.log(B / 2 + 1) - 0.25),
        (-1.0, 1.5 * (B + 1) / B - 0.5),
        (3.0, 1.5 * (B + 1) / B - 0.5 + 2 * 1.5),
        (-11.0, 1.5 * (B + 1) / B - 0.5 + 10 * 1.5),
    ],
)
def test_value(difference, expected):
    loss = BalancedL1Loss()(deltas=torch.tensor([[7 + difference, 1]]), target_deltas=torch.tensor([[7.0, 1]]))
    assert loss.tolist() == pytest.approx([expected], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0), (1.0, 2.0)])
def test_gradient(alpha, gamma):
    """alpha ln(b |x| + 1) below 1, gamma above, with alpha ln(b + 1) = gamma."""
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None].requires_grad_()
    BalancedL1Loss(alpha, gamma)(x, torch.zeros_like(x)).sum().backward()
    b = math.exp(gamma / alpha) - 1
    expected = x.sign() * torch.where(x.abs() < 1, alpha * torch.log(b * x.abs() + 1), gamma)
    torch.testing.assert_close(x.grad, expected.detach())


def test_value_is_the_integral_of_the_gradient():
    x = torch.linspace(0, 3, 30001, dtype=torch.float64)
    gradient = torch.where(x < 1, 0.5 * torch.log(B * x + 1), 1.5)
    loss = BalancedL1Loss()(x[:, None], torch.zeros_like(x[:, None]))
    torch.testing.assert_close(loss[1:], torch.cumulative_trapezoid(gradient, x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.0, 1.5), (0.5, -1.0)])
def test_impossible_parameters(alpha, gamma):
    with pytest.raises(ValueError, match=f"alpha is {alpha} and gamma is {gamma}; both must be positive"):
        BalancedL1Loss(alpha, gamma)
