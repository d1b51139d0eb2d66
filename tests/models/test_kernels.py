"""Kernels in Triton compute what torch's operators do; Triton's interpreter runs them without a GPU."""

import importlib.util

import pytest
import torch
from torch import nn

from rdet.models.kernels import usable as module
from rdet.models.kernels.usable import pays, right, torch_operators_alone, usable
from rdet.models.losses.focal_loss import FocalLoss
from rdet.models.losses.sigmoid_loss import SigmoidLoss
from rdet.models.recording import recording

pytest.importorskip("triton")
pytestmark = pytest.mark.usefixtures("bounds_of_loops")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def randn(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("channels", [3, 300])
def test_what_follows_a_convolution(channels, has_residual, relu, dtype):
    from rdet.models.kernels.bias_relu import BiasRelu

    def map_(seed):
        x = randn(2, channels, 5, 7, dtype=dtype, seed=seed)
        return x.contiguous(memory_format=torch.channels_last).requires_grad_()

    x, residual, bias = map_(1), map_(2) if has_residual else None, randn(channels, seed=3).requires_grad_()
    expected = x.float() + bias[:, None, None] + (residual.float() if has_residual else 0)
    expected = (expected.relu() if relu else expected).to(dtype)
    found = BiasRelu.apply(x * 1, bias, residual, relu)
    # Triton's interpreter cuts off the digits that bfloat16 has no room for.
    torch.testing.assert_close(
        found, expected, rtol=2**-7 if dtype is torch.bfloat16 and DEVICE == "cpu" else 0, atol=0
    )
    inputs = [one for one in (x, bias, residual) if one is not None]
    upstream = randn(*x.shape, dtype=dtype, seed=4)
    wanted = torch.autograd.grad(expected, inputs, upstream)
    for one, other in zip(torch.autograd.grad(found, inputs, upstream), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02 if dtype is torch.bfloat16 else 2e-3, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("classes", [1, 80, 200])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_focal_loss_and_its_gradient(weighted, classes, gamma, dtype):
    from rdet.models.kernels import focal

    weights = torch.linspace(0.5, 2, classes).tolist() if weighted else None
    loss = FocalLoss(alpha=0.3 if weighted else None, gamma=gamma, class_weight=weights).to(DEVICE)
    logits = randn(70, classes, dtype=dtype) * 8
    logits[0], logits[1] = 60, -torch.inf  # of the background
    labels = torch.arange(70, device=DEVICE) % (classes + 2) - 2
    value, gradient = SigmoidLoss.with_gradient(loss, logits, labels)
    found = torch.full_like(gradient, torch.nan)
    summed = focal.with_gradient(logits, labels, gamma, loss.alphas, loss.class_weight, found)
    torch.testing.assert_close(summed, value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, gradient, rtol=1e-2 if dtype is torch.bfloat16 else 1e-5, atol=1e-6)
    upstream = randn(70, 1)
    torch.testing.assert_close(focal.scaled(found, upstream, dtype), (found.float() * upstream).to(dtype))
    assert focal.with_gradient(logits[:0], labels[:0], gamma, loss.alphas, loss.class_weight, found[:0]).shape == (0,)


class OnAGpu(torch.Tensor):
    """Says that it is on a GPU."""

    is_cuda = True


def test_who_may_use_them(monkeypatch):
    tried = []
    monkeypatch.setattr(module, "right", lambda check, device: tried.append((check, device)) or True)
    assert not usable(torch.ones(3))
    monkeypatch.setattr(module, "Tensor", OnAGpu)  # what is no plain tensor is none of theirs
    monkeypatch.setattr(torch.cuda, "current_device", lambda: torch.ones(3).device.index)
    x = torch.ones(3).as_subclass(OnAGpu)
    assert usable(x)
    assert tried == [(module._add_a_bias, x.device)]
    assert not usable(x.double())
    assert not usable(x.as_subclass(type("Fake", (OnAGpu,), {})))
    with torch_operators_alone():
        assert not usable(x)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert not usable(x)  # of another GPU


def test_a_card_without_memory_says_nothing_of_kernels():
    answers = [torch.OutOfMemoryError("none left"), True]

    def check(device):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(torch.OutOfMemoryError):
        right(check, torch.device("cpu"))
    assert right(check, torch.device("cpu"))


@pytest.mark.parametrize(("value", "off"), [("0", True), ("1", False), (None, False)])
def test_the_environment_switches_them_off(value, off, monkeypatch):
    monkeypatch.delenv("RDET_TRITON", raising=False)
    if value is not None:
        monkeypatch.setenv("RDET_TRITON", value)
    spec = importlib.util.find_spec("rdet.models.kernels.usable")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    assert other._switched_off == off


def test_small_maps_pay_in_a_recording_alone():
    assert (pays(100), pays(2**23)) == (False, True)
    with recording():
        assert pays(100)


def test_kernels_that_fail_or_find_other_numbers_are_said_once():
    asked = []

    def check(device):
        asked.append(device)
        return {"meta": False, "cpu": True}.get(device.type) or 1 / 0

    def fails(device):
        return False

    with pytest.warns(
        UserWarning, match=r"Triton kernels \(test_kernels\) cannot be used on meta, .*: division by zero"
    ):
        assert not right(check, torch.device("meta"))
    with pytest.warns(UserWarning, match="on cpu, which is slower: they compute other numbers than torch's operators"):
        assert not right(fails, torch.device("cpu"))
    assert [right(check, torch.device(name)) for name in ("cpu", "meta", "cpu")] == [True, False, True]
    assert not right(fails, torch.device("cpu"))
    assert [device.type for device in asked] == ["meta", "cpu"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_a_convolution_without_them_is_torchs(relu, bias):
    from rdet.models.convolution import BiasConv2d, convolved, fuse_biases

    conv = nn.Conv2d(3, 4, 3, padding=1, bias=bias)
    x, residual = randn(1, 3, 6, 5).cpu(), randn(1, 4, 6, 5).cpu()
    expected = conv(x) + residual
    assert torch.equal(
        convolved(conv, x, conv.weight, conv.bias, residual, relu), expected.relu() if relu else expected
    )
    assert convolved(conv, x[0], conv.weight, conv.bias).shape == (4, 6, 5)
    fuse_biases(conv)
    assert type(conv) is (BiasConv2d if bias else nn.Conv2d)
    assert torch.equal(conv(x) + residual, expected)


@pytest.mark.parametrize("name", ["smoothed", "with_derivative"])
def test_a_loss_with_a_way_of_its_own_is_not_the_kernels(name, monkeypatch):
    monkeypatch.setattr("rdet.models.losses.focal_loss.usable", lambda x: True)
    monkeypatch.setattr("rdet.models.kernels.focal.with_gradient", lambda *args: pytest.fail("the kernel was asked"))
    theirs = getattr(FocalLoss, name)
    body = {name: lambda self, *args: tuple(2 * x for x in theirs(self, *args))}
    if name == "with_derivative":
        body["elementwise"] = lambda self, x_t: 2 * FocalLoss.elementwise(self, x_t)
    own, logits, labels = type("Own", (FocalLoss,), body)(), randn(5, 3), torch.arange(5, device=DEVICE) % 3
    summed, _ = own.with_gradient(logits, labels)
    torch.testing.assert_close(summed, 2 * SigmoidLoss.with_gradient(FocalLoss(), logits, labels)[0])
    with pytest.raises(pytest.fail.Exception, match="the kernel was asked"):
        FocalLoss().with_gradient(logits, labels)
