import pytest
import torch

from rdet.models.losses.hinge_loss import HingeLoss
from rdet.structures.assignment import BACKGROUND, IGNORE


def test_values():
    """Nothing above the margin, and the difference from it below."""
    p = torch.tensor([0.05, 0.3, 0.5, 0.6, 0.95])
    loss = HingeLoss(margin=0.5)
    positive = loss(p.logit()[:, None], torch.zeros(5, dtype=torch.int64))
    assert positive.tolist() == pytest.approx([0.45, 0.2, 0, 0, 0], abs=1e-6)
    negative = loss(p.logit()[:, None], torch.full((5,), BACKGROUND))
    assert negative.tolist() == pytest.approx([0, 0, 0, 0.1, 0.45], abs=1e-6)
    assert not loss(p.logit()[:, None], torch.full((5,), IGNORE)).any()


def test_the_gradient_vanishes_where_the_prediction_is_most_wrong():
    logits = torch.tensor([[0.0], [-4.6], [-20.0]], dtype=torch.float64, requires_grad=True)
    HingeLoss()(logits, torch.zeros(3, dtype=torch.int64)).sum().backward()
    p = logits.detach().sigmoid()
    torch.testing.assert_close(logits.grad, -p * (1 - p), rtol=1e-6, atol=0)
    assert logits.grad[2].abs() < 1e-8


@pytest.mark.parametrize("margin", [0.0, 1.1])
def test_impossible_margin(margin):
    with pytest.raises(ValueError, match=rf"margin is {margin}; it must lie in \(0, 1\]"):
        HingeLoss(margin)
