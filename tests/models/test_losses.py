"""What holds for every loss of rdet. A new one needs a line in ``KINDS``."""

import importlib
import inspect
import math
import pkgutil

import pytest
import torch
from torch import nn

import rdet.models.losses
from rdet.models.losses.precision import _softplus_by_log
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE

# What a loss sees: the key of an example in `example`.
KINDS = {
    "FocalLoss": "classes",
    "FocalLossStar": "classes",
    "CrossEntropyLoss": "classes",
    "HingeLoss": "classes",
    "GHMC": "classes",
    "SoftmaxFocalLoss": "classes",
    "QualityFocalLoss": "soft classes",
    "VarifocalLoss": "soft classes",
    "PositiveCrossEntropyLoss": "soft classes",
    "PositiveSoftmaxLoss": "positives",
    "SquaredObjectLoss": "soft classes",
    "SmoothL1Loss": "deltas",
    "L1Loss": "deltas",
    "BalancedL1Loss": "deltas",
    "GHMR": "deltas",
    "CellBoxLoss": "deltas",
    "SquaredCellBoxLoss": "deltas",
    "DistributionFocalLoss": "distributions",
    "IoULoss": "boxes",
    "GIoULoss": "boxes",
    "DIoULoss": "boxes",
    "CIoULoss": "boxes",
    "EIoULoss": "boxes",
    "BinaryCrossEntropyLoss": "quality",
}
# Of losses with a factor for each of their terms.
FACTORS = {
    "CellBoxLoss": ("center_weight", "size_weight"),
    "SquaredObjectLoss": ("object_weight", "background_weight"),
}


def registered_losses() -> dict[str, type[nn.Module]]:
    found = {}
    for info in pkgutil.iter_modules(rdet.models.losses.__path__, "rdet.models.losses."):
        module = importlib.import_module(info.name)
        for name, cls in vars(module).items():
            own = inspect.isclass(cls) and issubclass(cls, nn.Module) and cls.__module__ == info.name
            if own and not name.endswith("Normalizer") and cls in MODELS.module_dict.values():
                found[name] = cls
    return found


LOSSES = registered_losses()
every_loss = pytest.mark.parametrize("name", LOSSES)


def example(name: str, count: int = 12, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Inputs by name; the first is what the network predicted."""
    assert name in KINDS, f"{name} has no case here: add it to KINDS"
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(count, *shape, generator=generator, dtype=dtype)

    def uniform(*shape):
        return torch.rand(count, *shape, generator=generator, dtype=dtype)

    labels = torch.tensor([0, 1, 2, BACKGROUND, IGNORE, 0]).repeat(count // 6 + 1)[:count]
    quality = uniform() * (labels >= 0)
    quality[0:1] = 0  # of a positive
    corners = uniform(2) * 20
    return {
        "classes": {"logits": normal(3) * 3, "labels": labels},
        "positives": {"logits": normal(3) * 3, "labels": torch.arange(count) % 3},
        "soft classes": {"logits": normal(3) * 3, "labels": labels, "quality": quality},
        "deltas": {"deltas": normal(4) * 2, "target_deltas": normal(4)},
        "distributions": {"deltas": normal(4 * 6) * 2, "target_deltas": uniform(4) * 5},
        # Boxes of about 20 pixels: most overlap, the last half does not.
        "boxes": {
            "predicted": torch.cat([corners, corners + 10 + uniform(2) * 20], dim=1),
            "boxes": torch.cat([corners + uniform(2) * 9, corners + 10 + uniform(2) * 20], dim=1)
            + 60 * (torch.arange(count) >= count / 2)[:, None],
        },
        "quality": {"quality_logits": normal() * 3, "quality": uniform()},
    }[KINDS[name]]


def split(inputs: dict[str, torch.Tensor]) -> tuple[str, torch.Tensor, dict[str, torch.Tensor]]:
    """Name of the prediction, the prediction, and the rest."""
    (key, prediction), *rest = inputs.items()
    return key, prediction, dict(rest)


def test_cases_are_complete():
    assert set(LOSSES) == set(KINDS)


# What the derivative of a loss depends on beside its defaults.
OPTIONS = [
    ("FocalLoss", {"gamma": 0.0, "alpha": None}),
    ("FocalLoss", {"gamma": 0.5, "label_smoothing": 0.2, "class_weight": [0.5, 2.0, 1.0]}),
    ("FocalLossStar", {"gamma": 4.0, "beta": 0.0, "class_weight": [0.5, 2.0, 1.0]}),
    ("CrossEntropyLoss", {"alpha": 0.75, "label_smoothing": 0.2, "class_weight": [0.5, 2.0, 1.0]}),
    ("HingeLoss", {"margin": 0.5, "alpha": 0.75}),
    ("IoULoss", {"mode": "square"}),
    ("SoftmaxFocalLoss", {"alpha": [0.1, 0.5, 2.0, 1.0], "gamma": 0.5, "label_smoothing": 0.2}),
]


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in LOSSES), *OPTIONS])
def test_gradcheck(name, options):
    key, prediction, rest = split(example(name))
    loss = LOSSES[name](**options)

    def value(prediction):
        result = loss(**{key: prediction}, **rest)
        assert result.dtype == torch.float64
        return result - constant_in_gradient(prediction) if name == "CIoULoss" else result

    def constant_in_gradient(predicted):
        """CIoU's alpha is a constant for the gradient: here it is kept at its value at the start."""

        def sides(boxes):
            return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]

        with torch.no_grad():
            (w, h), (w_gt, h_gt) = sides(predicted), sides(rest["boxes"])
            v = 4 / math.pi**2 * (torch.atan(w / h) - torch.atan(w_gt / h_gt)) ** 2
            iou = 1 - LOSSES["IoULoss"](mode="linear")(predicted, rest["boxes"])
            alpha = v / (1 - iou + v)
            starts.append(alpha)
            return (alpha - starts[0]) * v

    starts = []
    value(prediction)
    assert torch.autograd.gradcheck(value, (prediction.requires_grad_(),), eps=1e-6, atol=1e-6)


def test_softplus_of_a_compiled_kernel():
    x = torch.cat([torch.linspace(-80, 80, 4001), torch.tensor([-1e30, -1e-30, 0.0, 1e30])])
    expected = torch.nn.functional.softplus(x.double(), threshold=40)
    torch.testing.assert_close(_softplus_by_log(x).double(), expected, rtol=3e-7, atol=0)
    assert _softplus_by_log(torch.tensor(math.nan)).isnan()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"GHMC", "GHMR"}))  # which weigh by what the others are
def test_one_value_for_each_prediction_whatever_the_others_are(name):
    """Losses do not average."""
    inputs = example(name)
    values = LOSSES[name]()(**inputs)
    assert values.shape == (12,)
    assert (values >= 0).all()
    assert (values > 0).sum() >= 10
    for i in range(12):
        alone = LOSSES[name]()(**{key: value[i : i + 1] for key, value in inputs.items()})
        torch.testing.assert_close(alone, values[i : i + 1])


@every_loss
def test_loss_weight_is_a_factor(name):
    inputs = example(name)
    once, thrice = (LOSSES[name](**dict.fromkeys(FACTORS.get(name, ["loss_weight"]), factor)) for factor in (1.0, 3.0))
    torch.testing.assert_close(thrice(**inputs), 3 * once(**inputs))


@every_loss
def test_nothing_costs_nothing(name):
    key, prediction, rest = split(example(name, dtype=torch.float32))
    prediction.requires_grad_()
    loss = LOSSES[name]()(**{key: prediction[:0]}, **{other: value[:0] for other, value in rest.items()})
    assert loss.shape == (0,)
    loss.sum().backward()
    assert loss.sum() == 0
    assert not prediction.grad.any()


@every_loss
@pytest.mark.parametrize("value", [80.0, -80.0, 0.0, "mixed"])
def test_extreme_predictions_in_float32(name, value):
    key, prediction, rest = split(example(name, dtype=torch.float32))
    prediction = prediction.sign() * 80 if value == "mixed" else torch.full_like(prediction, value)
    prediction.requires_grad_()
    loss = LOSSES[name]()(**{key: prediction}, **rest)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert (loss >= 0).all()
    assert prediction.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(name, dtype):
    half = {k: v.to(dtype) if v.is_floating_point() else v for k, v in example(name).items()}
    full = {k: v.float() if v.is_floating_point() else v for k, v in half.items()}
    loss = LOSSES[name]()
    for inputs in (half, {**full, next(iter(half)): half[next(iter(half))]}):
        values = loss(**inputs)
        assert values.dtype == torch.float32
        assert torch.equal(values, loss(**full))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(**half), loss(**full))
        assert loss(**half).dtype == torch.float32


@every_loss
def test_needs_no_values_on_the_host(name):
    """Tensors without data: anything that waits for the device, as `nonzero` or a boolean index, would raise."""
    key, prediction, rest = split({k: v.to("meta") for k, v in example(name, dtype=torch.float32).items()})
    loss = LOSSES[name]()(**{key: prediction.requires_grad_()}, **rest)
    assert loss.shape == (12,)
    loss.sum().backward()


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if "classes" in kind])
def test_compiled_for_any_number_of_priors(name):
    """As :meth:`OneStageDetector.compile` does it: one graph, the same values and gradients."""
    torch.compiler.reset()
    compiled = LOSSES[name]()
    compiled.compile(fullgraph=True, dynamic=True, backend="aot_eager")
    for count in (12, 18):
        key, prediction, rest = split(example(name, count, torch.float32))
        results = []
        for loss in (LOSSES[name](), compiled):
            x = prediction.clone().requires_grad_()
            value = loss(**{key: x}, **rest)
            value.sum().backward()
            results.append((value.detach(), x.grad))
        torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if "classes" in kind])
def test_ignored_labels_have_zero_loss_and_gradient(name):
    key, logits, rest = split(example(name))
    if "quality" in rest:
        rest["quality"] = torch.full_like(rest["quality"], 0.6)  # counts at positives only
    loss = LOSSES[name]()(**{key: logits.requires_grad_()}, **rest)
    loss.sum().backward()
    ignored = rest["labels"] == IGNORE
    assert ignored.sum() == 2
    assert not loss[ignored].any()
    assert not logits.grad[ignored].any()
    assert (loss[~ignored] > 0).all()


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if "classes" in kind])
def test_labels_of_whole_images(name):
    """(N, A, K) gives what (N * A, K) gives."""
    inputs = example(name)
    shaped = {key: value.unflatten(0, (3, 4)) for key, value in inputs.items()}
    assert torch.equal(LOSSES[name]()(**shaped).flatten(), LOSSES[name]()(**inputs))
