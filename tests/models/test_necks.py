"""Laws that hold for every neck."""

import pytest
import torch
from torch import nn

from rdet.models.necks.bifpn import BiFPN
from rdet.models.necks.channel_mapper import ChannelMapper
from rdet.models.necks.fpn import FPN
from rdet.models.necks.layers import Conv2d
from rdet.models.necks.pafpn import PAFPN
from rdet.models.necks.residual_ssd_neck import ResidualSSDNeck
from rdet.models.necks.ssd_neck import SSDNeck
from rdet.models.necks.ssdlite_neck import SSDLiteNeck
from rdet.registry import MODELS, build_from_cfg

NECKS = [FPN, PAFPN, BiFPN, ChannelMapper]
WIDTHS = (4, 6, 8)


def maps_of(height, width, strides=(8, 16, 32), down=lambda size, stride: -(-size // stride)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, down(height, s), down(width, s), generator=generator)
        for c, s in zip(WIDTHS, strides, strict=False)
    ]


def make(cls, strides=(8, 16, 32), **options):
    torch.manual_seed(0)
    return cls(list(WIDTHS[: len(strides)]), list(strides), out_channels=16, **options)


def sizes_of(levels):
    return [tuple(x.shape) for x in levels]


@pytest.mark.parametrize("cls", NECKS)
@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((128, 256), [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]),
        ((100, 75), [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]),
        ((8, 8), [(1, 1)] * 5),
    ],
)
def test_p3_to_p7_of_any_size(cls, shape, sizes):
    neck = make(cls)
    assert sizes_of(neck(maps_of(*shape))) == [(2, 16, *size) for size in sizes]
    assert neck.out_channels == [16] * 5
    assert neck.strides == [8, 16, 32, 64, 128]


@pytest.mark.parametrize("cls", NECKS)
def test_maps_whose_sizes_are_rounded_down(cls):
    """ConvNeXt's of a 108 x 60 image: 13, 6, 3 rows, where stride-2 convolutions would make 13, 7, 4."""
    levels = make(cls)(maps_of(108, 60, down=lambda size, stride: size // stride))
    assert sizes_of(levels)[:3] == [(2, 16, 13, 7), (2, 16, 6, 3), (2, 16, 3, 1)]
    assert sizes_of(levels)[3:] == [(2, 16, 2, 1), (2, 16, 1, 1)]


@pytest.mark.parametrize("cls", NECKS)
@pytest.mark.parametrize(
    ("in_strides", "num_extra", "strides"),
    [
        ((8,), 2, [8, 16, 32]),
        ((16,), 0, [16]),
        ((8, 16, 32), 0, [8, 16, 32]),
        ((8, 16, 32), 3, [8, 16, 32, 64, 128, 256]),
        ((8, 32), 1, [8, 32, 64]),
        ((16, 16, 16), 1, [16, 16, 16, 32]),
    ],
)
def test_any_number_of_maps(cls, in_strides, num_extra, strides):
    neck = make(cls, in_strides, num_extra=num_extra)
    assert neck.strides == strides
    assert neck.out_channels == [16] * len(strides)
    assert sizes_of(neck(maps_of(300, 200, in_strides))) == [(2, 16, -(-300 // s), -(-200 // s)) for s in strides]


@pytest.mark.parametrize("cls", NECKS)
@pytest.mark.parametrize("strides", [(8, 16, 32), (16,)])
@pytest.mark.parametrize("num_extra", [0, 2])
def test_gradient_reaches_every_weight(cls, strides, num_extra):
    neck = make(cls, strides, num_extra=num_extra)
    levels = neck(maps_of(256, 288, strides))
    generator = torch.Generator().manual_seed(1)
    sum((x * torch.randn(x.shape, generator=generator)).sum() for x in levels).backward()
    # A bias before a normalisation would get none.
    assert [name for name, p in neck.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("cls", NECKS)
def test_initialisation_is_xavier_fill(cls):
    """Uniform with variance 1 / fan_in, biases 0."""
    torch.manual_seed(0)
    neck = cls([64, 64, 64], [8, 16, 32], out_channels=64)
    convs = [m for m in neck.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) >= 5
    for conv in convs:
        fan_in = conv.weight[0].numel()
        assert conv.bias is None or not conv.bias.any()
        assert conv.weight.abs().max().item() == pytest.approx((3 / fan_in) ** 0.5, rel=2e-2)
        assert conv.weight.var().item() == pytest.approx(1 / fan_in, rel=0.2)


@pytest.mark.parametrize("cls", NECKS)
def test_by_name_and_without_data(cls):
    with torch.device("meta"):
        neck = build_from_cfg(
            {"type": cls.__name__}, MODELS, {"in_channels": [512, 1024, 2048], "in_strides": [8, 16, 32]}
        )
        assert type(neck) is cls
        levels = neck([torch.empty(1, c, 640 // s, 800 // s) for c, s in ((512, 8), (1024, 16), (2048, 32))])
    assert [x.shape[1] for x in levels] == neck.out_channels


@pytest.mark.parametrize("cls", NECKS)
def test_another_number_of_maps_than_configured(cls):
    with pytest.raises(ValueError, match="zip"):
        make(cls)(maps_of(64, 64)[:2])


@pytest.mark.parametrize("cls", NECKS)
@pytest.mark.parametrize("norm_cfg", [{"type": "GN", "num_groups": 4}, {"type": "BN", "eps": 0.5}, None])
def test_normalisation(cls, norm_cfg):
    neck = make(cls, norm_cfg=norm_cfg)
    norms = [m for m in neck.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)]
    dense = [m for m in neck.modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    # One after each dense convolution, which then has no bias.
    assert len(norms) == (len(dense) if norm_cfg else 0)
    assert all((m.bias is None) == bool(norm_cfg) for m in dense)
    if norm_cfg:
        assert {type(m) for m in norms} == {nn.GroupNorm if norm_cfg["type"] == "GN" else nn.BatchNorm2d}
        assert all(m.eps == norm_cfg.get("eps", 1e-5) for m in norms)


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (PAFPN, {"extra_levels": "on_output"}, "PAFPN.extra_levels is 'on_output'; valid: 'on_c5', 'on_p5', 'on_l"),
        (BiFPN, {"num_blocks": 0}, "BiFPN.num_blocks is 0; it must be 1 or more"),
        (ChannelMapper, {"kernel_size": 2}, "ChannelMapper.kernel_size is 2; it must be odd, or the maps would shift"),
    ],
)
def test_errors(cls, options, message):
    with pytest.raises(ValueError, match=message):
        make(cls, **options)


def test_gradient_of_a_strided_convolution_on_one_cell():
    """Of torch's own, it is whatever the memory held before."""
    torch.manual_seed(0)
    conv = Conv2d(128, 128, 3, stride=2, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(8, 128, 1, 1)
    torch.testing.assert_close(conv(x), torch.nn.Conv2d.forward(conv, x))
    (expected,) = torch.autograd.grad(conv(x).square().sum(), conv.weight)
    for _ in range(5):
        torch.full((3_000_000,), 1e30)  # freed at once, and given to what is not set
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = conv(x)
        (gradient,) = torch.autograd.grad(y.float().square().sum(), conv.weight)
        assert (gradient - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SSDNeck, {"extra": [(32, 64, 3, 2, 1)], "strides": [64, 128], "fc_channels": None}),
        (SSDLiteNeck, {"extra_channels": [64]}),
        (ResidualSSDNeck, {"num_extra": 1, "extra_channels": 128}),
    ],
)
def test_levels_above_one_cell_of_ssds_have_gradients(cls, options):
    torch.manual_seed(0)
    neck = cls([128], [64], **options).to(memory_format=torch.channels_last).eval()
    x, weights = torch.randn(8, 128, 1, 1), [value for value in neck.parameters() if value.dim() == 4]
    expected = torch.autograd.grad(neck([x])[-1].sum(), weights)
    for _ in range(5):
        # Freed at once, and given to what is not set.
        [torch.full((max(value.numel(), 288),), 1e30, dtype=torch.bfloat16) for value in weights * 100]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = neck([x])[-1]
        for found, true in zip(torch.autograd.grad(y.float().sum(), weights), expected, strict=True):
            assert (found - true).norm() < 0.05 * true.norm()
