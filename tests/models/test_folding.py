import copy
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.models.backbones.folding import conv_norm
from rdet.models.backbones.resnet import ResNet
from rdet.models.recording import recording


def make(norm):
    """A strided convolution, a normalisation with statistics and weights of its own, and an input, in double."""
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False).double()
    norm = norm.double()
    for name, tensor in (*norm.named_parameters(), *norm.named_buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, *((0.5, 1.5) if name in ("running_var", "weight") else (-0.5, 0.5)))
    return conv, norm, torch.randn(2, 4, 7, 9, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False), nn.SyncBatchNorm(6)])
def test_fixed_statistics_fold_into_the_convolution(norm):
    conv, norm, x = make(norm.eval())
    inputs = [x, conv.weight, *norm.parameters()]
    found, expected = conv_norm(conv, norm, x), norm(conv(x))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    direction = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, direction), torch.autograd.grad(expected, inputs, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    called = []
    norm.register_forward_hook(lambda *_: called.append(1))
    conv_norm(conv, norm, x)
    assert not called


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm2d(6), nn.GroupNorm(2, 6), nn.BatchNorm2d(6, track_running_stats=False).eval()],
    ids=["training", "group", "no statistics"],
)
def test_a_normalisation_that_looks_at_its_input_stays(norm):
    conv, norm, x = make(norm)
    torch.testing.assert_close(conv_norm(conv, norm, x), norm(conv(x)), rtol=0, atol=0)


def test_no_map_is_kept_between():
    conv, norm, x = make(nn.BatchNorm2d(6).eval())
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.shape) or tensor, lambda t: t):
        out = conv_norm(conv, norm, x)
    assert out.shape not in kept


def test_a_recording_reads_no_product_that_is_kept():
    """It would read it where it was, when another pass has made another."""
    conv, norm, x = make(nn.BatchNorm2d(6).eval())
    conv.requires_grad_(False)
    norm.requires_grad_(False)
    conv_norm(conv, norm, x)
    kept = conv.__dict__["_kept_fold"]
    with torch.no_grad(), recording():
        conv.weight.mul_(2)
        torch.testing.assert_close(conv_norm(conv, norm, x), norm(conv(x)), rtol=1e-12, atol=1e-12)
    assert conv.__dict__["_kept_fold"] is kept


class Operators(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[function.name().partition(".")[0].removeprefix("aten::")] += 1
        return function(*args, **(kwargs or {}))


def operators_of(network, x, autocast=False):
    with Operators() as operators, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network(x)
    return operators.counts


def test_frozen_layers_are_folded_once():
    """ResNet-50 has 53 convolutions; the stem and the first stage, 11 of them, are frozen."""
    network, x = ResNet(50), torch.randn(1, 3, 32, 32)
    names = list(network.state_dict())
    first, later = operators_of(network, x), operators_of(network, x)
    assert first["rsqrt"] == first["addcmul"] == first["convolution"] == later["convolution"] == 53
    assert later["rsqrt"] == later["addcmul"] == 42
    assert first.total() - later.total() >= 11 * 5
    in_half = [operators_of(network, x, autocast=True) for _ in range(2)]
    assert in_half[0]["_to_copy"] - in_half[1]["_to_copy"] == 2 * 11  # weights and shifts stay in bfloat16
    assert list(network.state_dict()) == names
    assert copy.deepcopy(network).state_dict().keys() == network.state_dict().keys()


def change_in_place(network):
    with torch.no_grad():
        network.bn1.running_var.mul_(2)


def change_weights_through_data(network):
    """As an average takes the place of the weights before an evaluation."""
    network.conv1.weight.data.mul_(2)
    network.eval()


def load(network):
    network.load_state_dict({name: value * 2 for name, value in network.state_dict().items()})


def exchange(network):
    network.conv1.weight = nn.Parameter(network.conv1.weight * 2, requires_grad=False)


def train_it(network):
    network.conv1.weight.requires_grad_(True)


@pytest.mark.parametrize(
    "change",
    [change_in_place, change_weights_through_data, load, exchange, train_it, nn.Module.double, copy.deepcopy],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_kept_product_never_outlives_its_factors(change, autocast):
    torch.manual_seed(0)
    network, x = ResNet(18), torch.randn(1, 3, 32, 32)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network(x)
        network = change(network) or network
        x = x.to(network.conv1.weight.dtype)
        found = network(x)
        fresh = ResNet(18).to(x.dtype)
        fresh.load_state_dict(network.state_dict())
        for one, other in zip(found, fresh(x), strict=True):
            assert torch.equal(one, other)


def test_what_inference_mode_computes_is_not_kept():
    network, x = ResNet(18, frozen_stages=1), torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        network(x)
    x.requires_grad_(True)  # then weights of frozen layers are kept for the backward pass
    sum(level.sum() for level in network(x)).backward()
    assert x.grad is not None
