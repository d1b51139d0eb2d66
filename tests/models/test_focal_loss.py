"""The focal loss against the paper's equations."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss as torchvision_focal_loss

from rdet.models.losses.cross_entropy_loss import CrossEntropyLoss
from rdet.models.losses.focal_loss import FocalLoss, FocalLossStar, focal_loss, focal_loss_star, sigmoid_focal_loss
from rdet.models.losses.sigmoid_loss import SigmoidLoss
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE

GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]
Y = torch.tensor([[1.0], [-1.0]])


def logit(p):
    p = torch.as_tensor(p, dtype=torch.float64)
    return torch.log(p) - torch.log1p(-p)


def one_hot(labels, num_classes):
    return (labels[..., None] == torch.arange(num_classes)).double()


def random_case(num_classes=5, shape=(4, 30), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(*shape, num_classes, generator=generator, dtype=dtype) * 4
    return logits, torch.randint(-1, num_classes, shape, generator=generator)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.9, None])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_equation_5(gamma, alpha):
    """FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t), summed over the classes."""
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    for label, p_t, alpha_t in ((0, p, alpha), (BACKGROUND, 1 - p, None if alpha is None else 1 - alpha)):
        expected = -(1 if alpha_t is None else alpha_t) * (1 - p_t) ** gamma * torch.log(p_t)
        loss = FocalLoss(alpha=alpha, gamma=gamma)(logit(p)[:, None], torch.full((999,), label))
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("p_t", "factor", "tolerance"), [(0.9, 100, 1e-9), (0.968, 1000, 0.03), (0.5, 4, 1e-9)])
def test_examples_of_section_3_2(p_t, factor, tolerance):
    """With gamma 2, an example with p_t 0.9 has 100 times lower loss than with the cross entropy."""
    ratio = focal_loss(logit(p_t), 0.0) / focal_loss(logit(p_t), 2.0)
    assert ratio.item() == pytest.approx(factor, rel=tolerance)


def test_gamma_0_is_binary_cross_entropy():
    logits, labels = random_case(dtype=torch.float32)
    expected = F.binary_cross_entropy_with_logits(logits, one_hot(labels, 5).float(), reduction="none").sum(dim=-1)
    torch.testing.assert_close(FocalLoss(alpha=None, gamma=0)(logits, labels), expected)
    torch.testing.assert_close(FocalLoss(alpha=0.5, gamma=0)(logits, labels), expected / 2)


def test_alpha_1_zeroes_the_negatives_and_alpha_0_the_positives():
    logits = torch.tensor([[3.0], [-2.0]])
    for alpha, label in ((1.0, BACKGROUND), (0.0, 0)):
        assert FocalLoss(alpha=alpha)(logits, torch.full((2,), label)).tolist() == [0, 0]
        assert (FocalLoss(alpha=alpha)(logits, torch.full((2,), BACKGROUND - label)) > 0).all()


def test_loss_weight_is_a_factor():
    logits, labels = random_case()
    for loss in (FocalLoss, FocalLossStar):
        torch.testing.assert_close(loss(loss_weight=3.0)(logits, labels), 3 * loss()(logits, labels))


@pytest.mark.parametrize(("gamma", "beta"), [(2.0, 1.0), (4.0, 0.0), (1.0, 0.5)])
def test_focal_loss_star_is_equations_7_and_8(gamma, beta):
    """FL* = -log(p*_t) / gamma with p*_t = sigmoid(gamma x_t + beta); with gamma 1 and beta 0 the cross entropy."""
    logits, labels = random_case()
    target = one_hot(labels, 5)
    x_t = torch.where(target > 0, logits, -logits)
    alpha_t = torch.where(target > 0, 0.25, 0.75)
    expected = (-alpha_t * torch.log(torch.sigmoid(gamma * x_t + beta)) / gamma).sum(dim=-1)
    torch.testing.assert_close(FocalLossStar(gamma, beta)(logits, labels), expected, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(focal_loss_star(x_t, 1.0, 0.0), focal_loss(x_t, 0.0))


def gradient(function, x, y):
    x = x.clone().requires_grad_()
    (result,) = torch.autograd.grad(function(y * x).sum(), x)
    return result


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_derivative_is_equation_10(gamma, dtype):
    """dFL/dx = y (1 - p_t)^gamma (gamma p_t log(p_t) + p_t - 1), at gamma 0 equation 9."""
    x = torch.linspace(-80, 80, 3201, dtype=dtype).expand(2, -1)
    x_t = (Y * x).double()
    p_t = torch.sigmoid(x_t)
    expected = Y * torch.sigmoid(-x_t) ** gamma * (gamma * p_t * F.logsigmoid(x_t) - torch.sigmoid(-x_t))
    torch.testing.assert_close(
        gradient(lambda x_t: focal_loss(x_t, gamma), x, Y).double(),
        expected,
        rtol=1e-6 if dtype == torch.float32 else 1e-7,
        atol=1e-6 if dtype == torch.float32 else 1e-8,
    )
    if gamma == 0:
        torch.testing.assert_close(expected, Y * (p_t - 1))


@pytest.mark.parametrize(("gamma", "beta"), [(2.0, 1.0), (4.0, 0.0), (0.5, -1.0)])
def test_derivative_of_focal_loss_star_is_equation_11(gamma, beta):
    """dFL*/dx = y (p*_t - 1)."""
    x = torch.linspace(-80, 80, 3201).expand(2, -1)
    expected = Y * (torch.sigmoid(gamma * (Y * x).double() + beta) - 1)
    found = gradient(lambda x_t: focal_loss_star(x_t, gamma, beta), x, Y)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "function", [*(lambda x, g=g: focal_loss(x, g) for g in GAMMAS), lambda x: focal_loss_star(x, 2, 1)]
)
def test_gradcheck(function):
    x = torch.linspace(-15, 15, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_extreme_logits_have_finite_losses_and_gradients(gamma):
    x = torch.tensor([-1e30, -1e4, -80.0, 0.0, 80.0, 1e4, 1e30], requires_grad=True)
    for label in (0, BACKGROUND):
        loss = FocalLoss(gamma=gamma)(x[:, None], torch.full((7,), label))
        (grad,) = torch.autograd.grad(loss.sum(), x)
        assert loss.isfinite().all()
        assert grad.isfinite().all()
        # A hopeless prediction is pulled with alpha_t, a perfect one is left alone.
        assert grad.abs().max().item() == pytest.approx(0.25 if label == 0 else 0.75)
        assert grad.abs().min() == 0


@pytest.mark.parametrize("loss", [FocalLoss(), FocalLossStar()])
def test_ignored_labels_have_zero_loss_and_gradient(loss):
    logits, labels = random_case(dtype=torch.float32)
    logits.requires_grad_()
    labels[1] = IGNORE
    values = loss(logits, labels)
    values.sum().backward()
    assert not values[1].any()
    assert not logits.grad[1].any()
    assert (values[[0, 2, 3]] > 0).all()
    assert (logits.grad[[0, 2, 3]] != 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    logits, labels = random_case(dtype=torch.float32)
    half = logits.to(dtype)
    loss = FocalLoss()(half, labels)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, FocalLoss()(half.float(), labels))
    assert loss[labels == BACKGROUND].min() > 0


def test_float16_keeps_small_gradients_until_the_loss_scale_has_multiplied_them():
    """An easy background prediction's gradient is below float16's smallest number, its scaled gradient is not."""
    logits = torch.full((1, 3), -7.0, dtype=torch.float16, requires_grad=True)
    labels = torch.tensor([BACKGROUND])
    (2.0**16 * FocalLoss()(logits, labels).sum()).backward()
    exact = logits.detach().double().requires_grad_()
    FocalLoss()(exact, labels).sum().backward()
    assert exact.grad.max() < torch.finfo(torch.float16).smallest_normal / 2**10
    torch.testing.assert_close(logits.grad.double(), 2.0**16 * exact.grad, rtol=2e-3, atol=0)


def test_needs_no_values_on_the_host():
    """Tensors without data: anything that waits for the device, as `nonzero` or `item`, would raise."""
    loss = FocalLoss()(torch.empty(2, 9, 3, device="meta"), torch.empty(2, 9, dtype=torch.int64, device="meta"))
    assert loss.shape == (2, 9)


@pytest.mark.parametrize(("shape", "num_classes"), [((0,), 3), ((2, 0), 80), ((1, 1), 1)])
def test_shapes(shape, num_classes):
    loss = FocalLoss()(torch.zeros(*shape, num_classes), torch.zeros(shape, dtype=torch.int64))
    assert loss.shape == shape
    # p is 0.5 everywhere: one target that is 1, the others 0
    expected = (0.25 + 0.75 * (num_classes - 1)) * 0.25 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(loss, expected.expand(shape))


@pytest.mark.parametrize("loss", [FocalLoss, FocalLossStar])
def test_class_weight_weighs_the_binary_loss_of_each_class(loss):
    logits, labels = random_case()
    weight = [0.5, 2.0, 0.0, 1.0, 3.0]
    per_class = [
        loss()(logits[..., k : k + 1], torch.where(labels == k, 0, BACKGROUND)) for k in range(5)
    ]  # K detectors of one class each
    expected = sum(w * part for w, part in zip(weight, per_class, strict=True))
    torch.testing.assert_close(loss(class_weight=weight, num_classes=5)(logits, labels), expected)


def test_class_weights_of_1_change_nothing():
    logits, labels = random_case(dtype=torch.float32)
    labels[0] = IGNORE
    assert torch.equal(FocalLoss(class_weight=[1] * 5)(logits, labels), FocalLoss()(logits, labels))
    assert not FocalLoss(class_weight=[3.0] * 5)(logits, labels)[0].any()


def test_class_weight_moves_with_the_module_and_is_not_in_checkpoints():
    loss = FocalLoss(class_weight=[1.0, 2.0])
    assert loss.to("meta").class_weight.device.type == "meta"
    assert not loss.state_dict()


def test_class_weight_of_a_wrong_length():
    message = "model.loss_cls.class_weight has 2 numbers, but there are 5 classes; give one number for each"
    config = {"type": "FocalLoss", "class_weight": [1.0, 2.0]}
    with pytest.raises(ValueError, match=message):
        MODELS.build(config, default_args={"num_classes": 5}, where="model.loss_cls")
    logits, labels = random_case()
    with pytest.raises(ValueError, match=message):
        FocalLoss(class_weight=[1.0, 2.0])(logits, labels)
    with pytest.raises(ValueError, match="has 1 numbers, but there are 5 classes"):  # it would broadcast
        FocalLoss(class_weight=[1.0])(logits, labels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FocalLoss(class_weight=[1, -2]), "model.loss_cls.class_weight is .1, -2.; no weight may be negative"),
        (lambda: FocalLoss(alpha=1.5), "alpha is 1.5; it must be None or lie in"),
        (lambda: FocalLossStar(alpha=-0.1), "alpha is -0.1; it must be None or lie in"),
        (lambda: FocalLoss(gamma=-1), "gamma is -1; it must not be negative"),
        (lambda: FocalLossStar(gamma=0), "gamma is 0; it must be positive"),
    ],
)
def test_impossible_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("alpha", [0.25, 0.9])
def test_outside_the_detector_it_is_torchvisions(alpha, reduction):
    logits, labels = random_case()
    target = one_hot(labels, 5)
    expected = torchvision_focal_loss(logits, target, alpha=alpha, gamma=2.0, reduction=reduction)
    found = sigmoid_focal_loss(logits, target, alpha=alpha, gamma=2.0, reduction=reduction)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_label_smoothing(smoothing):
    """Outside the detector of every target; in it of those where there is a class."""
    logits, labels = random_case()
    target = one_hot(labels, 5)
    x_t = torch.where(target > 0, logits, -logits)
    mixed = (1 - smoothing / 2) * focal_loss(x_t, 2.0) + smoothing / 2 * focal_loss(-x_t, 2.0)
    expected = torch.where(target > 0, 0.25, 0.75) * mixed
    torch.testing.assert_close(sigmoid_focal_loss(logits, target, label_smoothing=smoothing), expected)
    inside = FocalLoss(label_smoothing=smoothing)(logits, labels)
    is_class = labels >= 0
    torch.testing.assert_close(inside[is_class], expected.sum(dim=-1)[is_class])
    torch.testing.assert_close(inside[~is_class], FocalLoss()(logits, labels)[~is_class])


@pytest.mark.parametrize(("gamma", "smoothed"), [(0.0, 0.05), (1.0, 0.162), (2.0, 0.251)])
def test_what_smoothing_aims_at(gamma, smoothed):
    """Where the loss of a class that is not the label is least: at the smoothed target for the cross entropy alone."""
    p = torch.linspace(0.001, 0.999, 9981, dtype=torch.float64)
    labels = torch.ones(len(p), dtype=torch.int64)  # of two classes the second, whose logit stays
    logits = torch.stack([logit(p), torch.zeros_like(p)], dim=1)
    loss = FocalLoss(alpha=None, gamma=gamma, label_smoothing=0.1)(logits, labels)
    assert p[loss.argmin()].item() == pytest.approx(smoothed, abs=1e-3)


@pytest.mark.parametrize("loss", [FocalLoss(), FocalLoss(gamma=0), FocalLossStar(), FocalLoss(gamma=0.7)])
def test_derivative_that_a_loss_knows_is_autograds(loss):
    """:meth:`SigmoidLoss.with_derivative` of the base, which asks autograd, against the loss's own."""
    x_t = torch.linspace(-30, 30, 601, dtype=torch.float64)
    for own, base in zip(loss.with_derivative(x_t), SigmoidLoss.with_derivative(loss, x_t), strict=True):
        torch.testing.assert_close(own, base, rtol=1e-8, atol=1e-12)


def test_parameters_that_would_not_learn_are_refused():
    class Learned(FocalLoss):
        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros(()))

    with pytest.raises(TypeError, match="Learned has parameters, but a SigmoidLoss is differentiated by the logits"):
        Learned()(torch.zeros(2, 3), torch.tensor([0, BACKGROUND]))


def test_a_loss_without_a_derivative_of_its_own():
    """The base asks autograd: same values and gradients as the focal loss that knows it."""

    class Plain(SigmoidLoss):
        def elementwise(self, x_t):
            return focal_loss(x_t, 2.0)

    class Child(CrossEntropyLoss):
        elementwise = Plain.elementwise
        with_derivative = SigmoidLoss.with_derivative  # that of the cross entropy would be another loss's

    logits, labels = random_case()
    results = []
    for loss in (Plain(0.25, 1.0), FocalLoss(), Child(alpha=0.25)):
        x = logits.clone().requires_grad_()
        value = loss(x, labels)
        value.sum().backward()
        results.append((value.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(results[2], results[1], rtol=1e-7, atol=1e-9)


class _Squared:
    def elementwise(self, x_t):
        return x_t**2


@pytest.mark.parametrize("bases", [(FocalLoss,), (_Squared, FocalLoss)], ids=["own", "mixin"])
def test_a_derivative_of_another_loss_is_refused(bases):
    body = {} if _Squared in bases else {"elementwise": _Squared.elementwise}
    with pytest.raises(TypeError, match="Mine changes `elementwise` of FocalLoss, whose `with_derivative` would no"):
        type("Mine", bases, body)


@pytest.mark.parametrize("divisor", [37.0, 1000.3])
def test_gradient_in_bfloat16_is_not_divided_by_a_rounded_number(divisor):
    """bfloat16 holds 37 but not 1 / 37: a gradient scaled in it would be off by 0.18 % as a whole."""
    logits = torch.randn(4000, 20, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.randint(-1, 20, (4000,), generator=torch.Generator().manual_seed(1))
    sums = []
    for dtype in (torch.bfloat16, torch.float64):
        x = logits.to(dtype, copy=True).requires_grad_()
        (FocalLoss()(x, labels).sum() / divisor).backward()
        assert x.grad.dtype is dtype
        sums.append(x.grad.double().abs().sum().item())
    assert sums[0] == pytest.approx(sums[1], rel=3e-4)
