"""The losses whose target is a quality: QFL and VFL."""

import math

import pytest
import torch
import torch.nn.functional as F

from rdet.models.losses.focal_loss import FocalLoss
from rdet.models.losses.quality_focal_loss import QualityFocalLoss
from rdet.models.losses.varifocal_loss import VarifocalLoss
from rdet.structures.assignment import BACKGROUND, IGNORE

LOG2 = math.log(2)


def random_case(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 30, 5, generator=generator, dtype=dtype) * 4
    labels = torch.randint(-2, 5, (4, 30), generator=generator)
    return logits, labels, torch.rand(4, 30, generator=generator, dtype=dtype)


def test_quality_focal_loss_at_probability_one_half():
    """The cross entropy is log(2) for any target; the factor is |y - 1/2|^beta."""
    logits, labels = torch.zeros(4, 2), torch.tensor([0, 1, BACKGROUND, IGNORE])
    quality = torch.tensor([0.8, 0.5, 0.9, 0.9])
    loss = QualityFocalLoss()(logits, labels, quality)
    assert loss.tolist() == pytest.approx([(0.3**2 + 0.25) * LOG2, 0.25 * LOG2, 0.5 * LOG2, 0])
    loss = QualityFocalLoss(beta=1.0)(logits, labels, quality)
    assert loss.tolist() == pytest.approx([(0.3 + 0.5) * LOG2, 0.5 * LOG2, LOG2, 0])


def test_varifocal_loss_at_probability_one_half():
    """q log(2) for the positive's class, alpha / 4 log(2) for others; a positive of quality 0 counts as negative."""
    logits, labels = torch.zeros(5, 2), torch.tensor([0, 1, 1, BACKGROUND, IGNORE])
    loss = VarifocalLoss()(logits, labels, torch.tensor([0.8, 0.1, 0.0, 0.9, 0.9]))
    other = 0.75 / 4
    assert loss.tolist() == pytest.approx([x * LOG2 for x in (0.8 + other, 0.1 + other, 2 * other, 2 * other, 0)])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_quality_1_gives_the_unweighted_focal_loss(gamma):
    logits, labels, quality = random_case()
    found = QualityFocalLoss(beta=gamma)(logits, labels, torch.ones_like(quality))
    torch.testing.assert_close(found, FocalLoss(alpha=None, gamma=gamma)(logits, labels), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0, 2.5])
def test_quality_focal_loss_against_its_equation(beta):
    logits, labels, quality = random_case()
    p, expected = logits.sigmoid(), torch.zeros(4, 30, dtype=torch.float64)
    for k in range(5):
        y = torch.where(labels == k, quality, 0.0)
        entropy = -((1 - y) * torch.log1p(-p[..., k]) + y * torch.log(p[..., k]))
        expected += (y - p[..., k]).abs() ** beta * entropy
    expected[labels == IGNORE] = 0
    torch.testing.assert_close(QualityFocalLoss(beta)(logits, labels, quality), expected)


def test_quality_focal_loss_is_0_where_the_score_is_the_quality():
    quality = torch.tensor([0.1, 0.5, 0.99], dtype=torch.float64)
    logits = quality.logit()[:, None].requires_grad_()
    loss = QualityFocalLoss()(logits, torch.zeros(3, dtype=torch.int64), quality)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.zeros_like(loss))
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_small_beta_has_a_finite_gradient_at_the_target(beta):
    logits = torch.tensor([[0.0], [-200.0]], requires_grad=True)
    QualityFocalLoss(beta)(logits, torch.tensor([0, -1]), torch.tensor([0.5, 0])).sum().backward()
    assert logits.grad.tolist() == [[0], [0]]


def test_varifocal_loss_of_background_is_alpha_times_the_focal_loss():
    logits, _, quality = random_case()
    labels = torch.full((4, 30), BACKGROUND)
    expected = 0.6 * FocalLoss(alpha=None, gamma=1.5)(logits, labels)
    torch.testing.assert_close(VarifocalLoss(alpha=0.6, gamma=1.5)(logits, labels, quality), expected)


def test_varifocal_loss_weights_positives_by_their_quality():
    logits, labels, quality = random_case()
    logits, labels, quality = logits[..., :1], labels.clamp(-1, 0), quality.clamp(min=0.01)
    entropy = F.binary_cross_entropy_with_logits(logits[..., 0], quality, reduction="none")
    positive = labels == 0
    found = VarifocalLoss()(logits, labels, quality)
    torch.testing.assert_close(found[positive], (quality * entropy)[positive])


def test_quality_outside_of_the_label_is_not_read():
    logits, labels, quality = random_case()
    changed = torch.where(labels >= 0, quality, 1 - quality)
    for loss in (QualityFocalLoss(), VarifocalLoss()):
        assert torch.equal(loss(logits, labels, quality), loss(logits, labels, changed))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QualityFocalLoss(beta=-1), "beta is -1; it must not be negative"),
        (lambda: VarifocalLoss(gamma=-1), "gamma is -1; it must not be negative"),
        (lambda: VarifocalLoss(alpha=-0.5), "alpha is -0.5; it must not be negative"),
    ],
)
def test_impossible_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
