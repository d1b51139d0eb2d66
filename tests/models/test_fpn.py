import pytest
import torch
import torch.nn.functional as F

from rdet.models.necks.fpn import FPN


def maps_of(height, width, channels=(4, 6, 8)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, -(-height // s), -(-width // s), generator=generator)
        for c, s in zip(channels, (8, 16, 32), strict=True)
    ]


def fpn(**options):
    torch.manual_seed(0)
    return FPN([4, 6, 8], [8, 16, 32], out_channels=5, **options)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((128, 256), [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]),
        ((100, 75), [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]),
        ((8, 8), [(1, 1)] * 5),
    ],
)
@pytest.mark.parametrize("extra_levels", ["on_c5", "on_p5", "on_lateral"])
def test_levels(shape, sizes, extra_levels):
    network = fpn(extra_levels=extra_levels)
    levels = network(maps_of(*shape))
    assert [tuple(x.shape) for x in levels] == [(2, 5, *size) for size in sizes]
    assert network.out_channels == [5] * 5
    assert network.strides == [8, 16, 32, 64, 128]


@pytest.mark.parametrize(
    ("num_extra", "strides"), [(0, [8, 16, 32]), (1, [8, 16, 32, 64]), (3, [8, 16, 32, 64, 128, 256])]
)
def test_number_of_extra_levels(num_extra, strides):
    network = fpn(num_extra=num_extra)
    assert network.strides == strides
    assert len(network.out_channels) == len(network(maps_of(64, 64))) == len(strides)


def test_formulas():
    """P5 = conv(l5), P4 = conv(l4 + up(l5)), P3 = conv(l3 + up(l4 + up(l5))), P6 = conv(C5), P7 = conv(ReLU(P6))."""
    network, maps = fpn(), maps_of(64, 96)
    l3, l4, l5 = (conv(x) for conv, x in zip(network.lateral_convs, maps, strict=True))
    l4 = l4 + l5.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    l3 = l3 + l4.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    p3, p4, p5 = (conv(x) for conv, x in zip(network.fpn_convs, (l3, l4, l5), strict=True))
    p6 = network.extra_convs[0](maps[-1])
    p7 = network.extra_convs[1](F.relu(p6))
    for found, expected in zip(network(maps), (p3, p4, p5, p6, p7), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("extra_levels", "source"), [("on_c5", 8), ("on_p5", 5), ("on_lateral", 5)])
def test_source_of_p6(extra_levels, source):
    network, maps = fpn(extra_levels=extra_levels), maps_of(64, 64)
    assert network.extra_convs[0].in_channels == source
    levels = network(maps)
    sources = {"on_c5": maps[-1], "on_p5": levels[2], "on_lateral": network.lateral_convs[-1](maps[-1])}
    torch.testing.assert_close(levels[3], network.extra_convs[0](sources[extra_levels]))


def test_relu_before_p7_changes_p7_alone():
    maps = maps_of(128, 128)
    with_relu, without = fpn(relu_before_p7=True), fpn(relu_before_p7=False)
    without.load_state_dict(with_relu.state_dict())
    levels, others = with_relu(maps), without(maps)
    assert [torch.equal(a, b) for a, b in zip(levels, others, strict=True)] == [True] * 4 + [False]
    torch.testing.assert_close(others[4], without.extra_convs[1](others[3]))


def test_initialisation_is_xavier_fill():
    """Uniform with variance 1 / fan_in, biases 0."""
    network = FPN([64, 64, 64], [8, 16, 32], out_channels=64)
    for conv in (*network.lateral_convs, *network.fpn_convs, *network.extra_convs):
        fan_in = conv.weight[0].numel()
        assert not conv.bias.any()
        assert conv.weight.abs().max().item() == pytest.approx((3 / fan_in) ** 0.5, rel=1e-2)
        assert conv.weight.var().item() == pytest.approx(1 / fan_in, rel=0.1)


def test_unknown_source():
    with pytest.raises(ValueError, match=r"FPN.extra_levels is 'on_output'; valid: 'on_c5', 'on_p5', 'on_lateral'$"):
        fpn(extra_levels="on_output")


def test_each_convolution_is_normalised_or_all_but_the_lateral_ones():
    norm_cfg = {"type": "BN", "eps": 0.25}
    for on_lateral in (True, False):
        network = fpn(norm_cfg=norm_cfg, norm_on_lateral=on_lateral).eval()
        assert all(conv[1].eps == 0.25 for conv in (*network.fpn_convs, *network.extra_convs))
        assert all(isinstance(conv, torch.nn.Sequential) == on_lateral for conv in network.lateral_convs)
        assert all((conv[0] if on_lateral else conv).bias is None or not on_lateral for conv in network.lateral_convs)
        levels, maps = network(maps_of(64, 96)), maps_of(64, 96)
        conv, norm = network.extra_convs[0]
        torch.testing.assert_close(levels[3], conv(maps[-1]) / (norm.running_var[0] + 0.25).sqrt())
