import math

import pytest
import torch
import torch.nn.functional as F

from rdet.models.losses.softmax_focal_loss import SoftmaxFocalLoss, softmax_focal_loss
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE

LABELS = torch.tensor([0, 1, 2, BACKGROUND, 1, 0, BACKGROUND])
ALPHA = torch.tensor([0.5, 2.0, 1.0, 0.1], dtype=torch.float64)


def logits(count=7, classes=3, dtype=torch.float64):
    return 3 * torch.randn(count, classes, generator=torch.Generator().manual_seed(0), dtype=dtype)


def with_background(x):
    return torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_formula(gamma):
    """-alpha_c (1 - p_c)^gamma log(p_c) of the label c; the background is the last choice."""
    x, choice = with_background(logits()), LABELS % 4
    p = x.softmax(dim=1)[torch.arange(7), choice]
    expected = -ALPHA[choice] * (1 - p) ** gamma * p.log()
    for alpha in (ALPHA, ALPHA.tolist()):
        torch.testing.assert_close(softmax_focal_loss(x, choice, alpha, gamma), expected, rtol=1e-6, atol=1e-9)
    loss = SoftmaxFocalLoss(alpha=ALPHA.tolist(), gamma=gamma)(logits(), LABELS)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_gamma_0_is_torchs_cross_entropy(smoothing):
    x, choice = with_background(logits()), LABELS % 4
    for reduction in ("none", "sum"):
        expected = F.cross_entropy(x, choice, weight=ALPHA, reduction=reduction, label_smoothing=smoothing)
        found = softmax_focal_loss(x, choice, ALPHA, 0.0, smoothing, reduction)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    mean = softmax_focal_loss(x, choice, None, 0.0, smoothing, "mean")
    torch.testing.assert_close(mean, F.cross_entropy(x, choice, label_smoothing=smoothing), rtol=1e-6, atol=1e-9)


def test_one_alpha_for_all_classes_leaves_the_rest_to_the_background():
    lists = SoftmaxFocalLoss(alpha=[0.2, 0.2, 0.2, 0.8])(logits(), LABELS)
    torch.testing.assert_close(SoftmaxFocalLoss(alpha=0.2)(logits(), LABELS), lists)
    torch.testing.assert_close(
        SoftmaxFocalLoss(alpha=None)(logits(), LABELS), SoftmaxFocalLoss(alpha=[1.0] * 4)(logits(), LABELS)
    )


def test_ignored_priors_cost_nothing():
    assert not SoftmaxFocalLoss()(logits(), torch.full((7,), IGNORE)).any()


def test_scores_are_the_softmax():
    x = logits(dtype=torch.float32)
    torch.testing.assert_close(SoftmaxFocalLoss().binary_logits(x).sigmoid(), with_background(x).softmax(dim=1)[:, :3])
    extreme = torch.tensor([[90.0, -90, 0], [-90.0, -90, -90]])
    assert SoftmaxFocalLoss().binary_logits(extreme).isfinite().all()
    expected = torch.tensor([[1.0, 0, 0], [0.0, 0, 0]])
    torch.testing.assert_close(SoftmaxFocalLoss().binary_logits(extreme).sigmoid(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
def test_gradient_is_finite_where_p_is_1(gamma):
    x = torch.tensor([[80.0, -80.0], [-80.0, 80.0], [0.0, 0.0]], requires_grad=True)
    softmax_focal_loss(x, torch.zeros(3, dtype=torch.int64), gamma=gamma, reduction="sum").backward()
    assert x.grad.isfinite().all()
    assert x.grad[1, 0] < -0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1}, "gamma is -1; it must be a number of 0 or more"),
        ({"label_smoothing": 1.0}, r"label_smoothing is 1.0; it must lie in \[0, 1\)"),
        ({"alpha": [1.0, -1.0]}, "a list of numbers of 0 or more"),
        ({"alpha": []}, "it needs weights, none of them negative"),
        ({"alpha": [1.0, 1.0], "num_classes": 2}, "alpha has 2 numbers, but there are 2 classes; .* background"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({"type": "SoftmaxFocalLoss", **options})


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduction is 'max'; valid: 'none', 'mean', 'sum'"):
        softmax_focal_loss(logits(), LABELS.clamp(min=0), reduction="max")


def test_it_starts_near_the_prior():
    """With the bias of section 4.1 for pi = 0.01, each of 3 classes has 0.01 / (1 + 2 * 0.01)."""
    x = torch.full((1, 3), -math.log(99))
    assert SoftmaxFocalLoss().binary_logits(x).sigmoid().tolist()[0] == pytest.approx([0.01 / 1.02] * 3)


def test_the_background_is_not_smoothed():
    plain, smoothed = SoftmaxFocalLoss(), SoftmaxFocalLoss(label_smoothing=0.2)
    is_class = LABELS >= 0
    assert torch.equal(smoothed(logits(), LABELS)[~is_class], plain(logits(), LABELS)[~is_class])
    x = with_background(logits())
    alpha = torch.tensor([0.25, 0.25, 0.25, 0.75], dtype=torch.float64)
    expected = softmax_focal_loss(x, LABELS % 4, alpha, 2.0, 0.2)
    torch.testing.assert_close(smoothed(logits(), LABELS)[is_class], expected[is_class])
