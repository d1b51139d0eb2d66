import math

import pytest
import torch
import torch.nn.functional as F

from rdet.models.losses.binary_cross_entropy_loss import BinaryCrossEntropyLoss
from rdet.models.losses.cross_entropy_loss import CrossEntropyLoss
from rdet.models.losses.focal_loss import FocalLoss
from rdet.structures.assignment import BACKGROUND, IGNORE

LOGITS = torch.linspace(-6, 6, 7 * 4).roll(5).reshape(7, 4)
LABELS = torch.tensor([0, 1, 2, 3, BACKGROUND, 1, 0])
ONE_HOT = (LABELS[:, None] == torch.arange(4)).float()


def test_value():
    """log(4/3) for p_t = 3/4, log(4) for p_t = 1/4."""
    x = math.log(3)
    loss = CrossEntropyLoss()(torch.tensor([[x, -x], [x, x], [x, -x], [x, x]]), torch.tensor([0, 1, -1, IGNORE]))
    good, bad = math.log(4 / 3), math.log(4)
    assert loss.tolist() == pytest.approx([2 * good, good + bad, good + bad, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_moves_both_targets_where_there_is_a_class(smoothing):
    target = ONE_HOT * (1 - smoothing) + smoothing / 2
    target[LABELS == BACKGROUND] = 0
    expected = F.binary_cross_entropy_with_logits(LOGITS, target, reduction="none").sum(dim=1)
    torch.testing.assert_close(CrossEntropyLoss(label_smoothing=smoothing)(LOGITS, LABELS), expected)


def test_smoothed_loss_is_least_at_the_smoothed_probability():
    x = torch.tensor(math.log(0.95 / 0.05), requires_grad=True)
    CrossEntropyLoss(label_smoothing=0.1)(x[None, None], torch.tensor([0])).sum().backward()
    assert x.grad.item() == pytest.approx(0, abs=1e-6)


def test_alpha_balances_as_the_focal_loss_with_gamma_0():
    torch.testing.assert_close(
        CrossEntropyLoss(alpha=0.75)(LOGITS, LABELS), FocalLoss(alpha=0.75, gamma=0)(LOGITS, LABELS)
    )


def test_class_weight():
    weight = torch.tensor([0.5, 2, 0, 1])
    expected = (F.binary_cross_entropy_with_logits(LOGITS, ONE_HOT, reduction="none") * weight).sum(dim=1)
    torch.testing.assert_close(CrossEntropyLoss(class_weight=weight.tolist())(LOGITS, LABELS), expected)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_impossible_smoothing(smoothing):
    with pytest.raises(ValueError, match=rf"label_smoothing is {smoothing}; it must lie in \[0, 1\)"):
        CrossEntropyLoss(label_smoothing=smoothing)


def test_quality_branch():
    """log(2) at logit 0 whatever the quality; least where the sigmoid equals the quality."""
    quality = torch.tensor([0.0, 0.3, 1.0])
    assert BinaryCrossEntropyLoss()(torch.zeros(3), quality).tolist() == pytest.approx([math.log(2)] * 3)
    logits = torch.logit(torch.tensor([0.25, 0.9])).requires_grad_()
    loss = BinaryCrossEntropyLoss(loss_weight=2.0)(logits, torch.tensor([0.25, 0.5]))
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    cross = -(0.5 * math.log(0.9) + 0.5 * math.log(0.1))
    assert loss.tolist() == pytest.approx([2 * entropy, 2 * cross], rel=1e-5)
    loss.sum().backward()
    assert logits.grad.tolist() == pytest.approx([0, 2 * (0.9 - 0.5)], abs=1e-6)
