import pytest
import torch
from torch import nn

from rdet.models.backbones.folding import conv_norm


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
