import pytest
import torch

from rdet.models.losses.smooth_l1_loss import L1Loss, SmoothL1Loss


@pytest.mark.parametrize(
    ("beta", "difference", "expected"),
    [
        (0.5, 0.0, 0.0),
        (0.5, 0.2, 0.04),  # below beta: x^2 / (2 beta)
        (0.5, 0.5, 0.25),  # at beta both parts are beta / 2
        (0.5, 2.0, 1.75),  # above: x - beta / 2
        (0.11, -1.0, 0.945),
        (0.0, 0.3, 0.3),
        (0.0, -3.0, 3.0),
    ],
)
def test_value(beta, difference, expected):
    loss = SmoothL1Loss(beta=beta, loss_weight=2.0)(torch.full((1, 1), 5 + difference), torch.full((1, 1), 5.0))
    assert loss.tolist() == [pytest.approx(2 * expected, rel=1e-5)]


def test_sums_over_the_numbers_of_a_box():
    deltas, target_deltas = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, -2]])
    assert L1Loss()(deltas, target_deltas).tolist() == [10, 2]
    assert SmoothL1Loss(beta=1.0)(deltas, target_deltas).tolist() == [8, 1.5]


@pytest.mark.parametrize("loss", [L1Loss(), SmoothL1Loss()])
def test_no_box(loss):
    deltas = torch.zeros(0, 4, requires_grad=True)
    value = loss(deltas=deltas, target_deltas=torch.zeros(0, 4))
    assert value.shape == (0,)
    value.sum().backward()
    assert deltas.grad.shape == (0, 4)


def test_gradient_is_continuous_at_beta():
    x = torch.tensor([[0.11 - 1e-6], [0.11 + 1e-6], [5.0], [-5.0]], requires_grad=True)
    SmoothL1Loss(beta=0.11)(x, torch.zeros(4, 1)).sum().backward()
    torch.testing.assert_close(x.grad[:, 0], torch.tensor([1.0, 1, 1, -1]), atol=1e-4, rtol=0)


def test_half_precision_is_computed_in_float32():
    loss = SmoothL1Loss()(torch.tensor([[0.3333]], dtype=torch.bfloat16), torch.tensor([[0.0]]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(torch.tensor(0.3333).bfloat16().item() - 0.055)
