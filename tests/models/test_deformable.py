"""Deformable convolutions as layers, and what becomes of them in a backbone."""

import pytest
import torch
from torch import nn
from torchvision.ops import deform_conv2d

from rdet.models import sampling
from rdet.models.backbones.folding import conv_norm, fold_norms
from rdet.models.deformable import DeformableConv2d, made_deformable, reset_offsets

KEYS = [{}, {"stride": 2, "padding": 1}, {"padding": 2, "dilation": 2, "groups": 2, "deform_groups": 4}]


def made(modulated=True, **keys):
    torch.manual_seed(0)
    keys = {"padding": 1, **keys}
    layer = DeformableConv2d(8, 6, 3, modulated=modulated, **keys).double()
    nn.init.normal_(layer.conv_offset.weight, std=0.1)
    nn.init.normal_(layer.conv_offset.bias, std=0.5)
    return layer


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("modulated", [True, False])
def test_it_starts_as_a_convolution(keys, modulated):
    """With factors of 0.5, where there are any."""
    layer, x = made(modulated, **keys), maps(2, 8, 9, 7)
    reset_offsets(nn.Sequential(layer))
    options = (layer.stride, layer.padding, layer.dilation, layer.groups)
    plain = torch.conv2d(x, layer.weight, None, *options) * (0.5 if modulated else 1)
    torch.testing.assert_close(layer(x), plain + layer.bias[:, None, None])


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("modulated", [True, False])
def test_offsets_and_factors_are_read_from_the_input(keys, modulated):
    layer, x = made(modulated, **keys), maps(2, 8, 9, 7)
    found = layer.conv_offset(x)
    groups = keys.get("deform_groups", 1)
    assert found.shape[1] == groups * 9 * (3 if modulated else 2)
    offset, mask = found[:, : 18 * groups], found[:, 18 * groups :].sigmoid() if modulated else None
    options = (layer.stride, layer.padding, layer.dilation, mask)
    torch.testing.assert_close(layer(x), deform_conv2d(x, offset, layer.weight, layer.bias, *options))


@pytest.mark.parametrize("plain", [False, True])
def test_gradients(plain, monkeypatch):
    monkeypatch.setattr(sampling, "by_plain_operators", lambda maps: plain)
    layer = DeformableConv2d(2, 2, 3, padding=1).double()
    nn.init.normal_(layer.conv_offset.bias, std=0.3, generator=torch.Generator().manual_seed(2))
    nn.init.normal_(layer.conv_offset.weight, std=0.02, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(layer, maps(1, 2, 3, 4).requires_grad_())


def test_a_fixed_normalisation_becomes_part_of_it():
    conv, norm, x = made(bias=False), nn.BatchNorm2d(6).double(), maps(2, 8, 9, 7)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    nn.init.normal_(norm.running_mean)
    norm.eval()
    expected = norm(conv(x))
    torch.testing.assert_close(conv_norm(conv, norm, x), expected)
    whole = nn.Sequential(conv, norm).eval()
    fold_norms(whole)
    assert isinstance(whole[0], DeformableConv2d)
    assert isinstance(whole[1], nn.Identity)
    torch.testing.assert_close(whole(x), expected)


def test_mixed_precision_and_half_keep_coordinates_in_float32():
    layer, x = made().float(), maps(2, 8, 9, 7).float()
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x)
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1)
    half = layer.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.1, atol=0.1)


def test_one_is_made_of_a_convolution():
    conv = nn.Conv2d(8, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False)
    layer = made_deformable(conv, deform_groups=2, modulated=False)
    assert layer.weight is conv.weight
    x = maps(1, 8, 9, 7).float()
    torch.testing.assert_close(layer(x), conv(x))
    with pytest.raises(ValueError, match="8 channels cannot be parted into 3 groups with offsets"):
        made_deformable(conv, deform_groups=3, modulated=True)
    with pytest.raises(ValueError, match="a padding of 'same' has no number"):
        made_deformable(nn.Conv2d(8, 6, 3, padding="same"), 1, True)
