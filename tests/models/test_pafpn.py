import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rdet.models.necks.fpn import FPN
from rdet.models.necks.pafpn import PAFPN


def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, 128 // s, 192 // s, generator=generator) for c, s in ((4, 8), (6, 16), (8, 32))]


def neck(cls=PAFPN, **options):
    torch.manual_seed(0)
    return cls([4, 6, 8], [8, 16, 32], out_channels=5, **options)


def test_formulas():
    """N3 = P3, N4 = ReLU(conv(P4 + ReLU(down(N3)))), N5 of N4 likewise."""
    network, inputs = neck(), maps()
    p3, p4, p5, p6, p7 = fpn_levels(network, inputs)
    n4 = F.relu(network.pafpn_convs[0](p4 + F.relu(network.downsample_convs[0](p3))))
    n5 = F.relu(network.pafpn_convs[1](p5 + F.relu(network.downsample_convs[1](n4))))
    for found, expected in zip(network(inputs), (p3, n4, n5, p6, p7), strict=True):
        torch.testing.assert_close(found, expected)


def fpn_levels(network, inputs, **options):
    """Levels of an FPN with the same weights."""
    fpn = neck(FPN, **options)
    fpn.load_state_dict(network.state_dict(), strict=False)
    return fpn(inputs)


def test_weights_of_the_top_down_path_are_fpns():
    assert set(neck(FPN).state_dict()) < set(neck().state_dict())
    for name, value in neck(FPN).state_dict().items():
        assert torch.equal(neck().state_dict()[name], value), name


def test_without_the_way_up_it_is_an_fpn():
    """Nothing comes from below and the last convolution passes on what it gets: FPN's levels, through the ReLU."""
    network, inputs = neck(), maps()
    for conv in network.downsample_convs:
        nn.init.zeros_(conv.weight)
    for conv in network.pafpn_convs:
        nn.init.dirac_(conv.weight)
    p3, p4, p5, p6, p7 = fpn_levels(network, inputs)
    for found, expected in zip(network(inputs), (p3, p4.relu(), p5.relu(), p6, p7), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_c3_reaches_the_top():
    network, inputs = neck(extra_levels="on_p5"), maps()
    moved = [inputs[0] + 1, *inputs[1:]]

    def changed(levels, others):
        return [not torch.equal(a, b) for a, b in zip(levels, others, strict=True)]

    assert changed(network(inputs), network(moved)) == [True] * 5
    fpns = (fpn_levels(network, x, extra_levels="on_p5") for x in (inputs, moved))
    assert changed(*fpns) == [True] + [False] * 4


@pytest.mark.parametrize(("extra_levels", "source"), [("on_c5", 8), ("on_p5", 5)])
def test_source_of_p6(extra_levels, source):
    network, inputs = neck(extra_levels=extra_levels), maps()
    levels = network(inputs)
    assert network.extra_convs[0].in_channels == source
    expected = network.extra_convs[0](inputs[-1] if extra_levels == "on_c5" else levels[2])
    torch.testing.assert_close(levels[3], expected)
    torch.testing.assert_close(levels[4], network.extra_convs[1](F.relu(levels[3])))


def test_steps_are_the_backbones():
    """Maps of strides 4, 16, 16: the way up reduces by 4, then not at all."""
    network = PAFPN([4, 6, 8], [4, 16, 16], out_channels=5)
    assert [conv.stride for conv in network.downsample_convs] == [(4, 4), (1, 1)]
