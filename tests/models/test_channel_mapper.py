import pytest
import torch
import torch.nn.functional as F

from rdet.models.necks.channel_mapper import ChannelMapper


def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, 128 // s, 192 // s, generator=generator) for c, s in ((4, 8), (6, 16), (8, 32))]


def neck(**options):
    torch.manual_seed(0)
    return ChannelMapper([4, 6, 8], [8, 16, 32], out_channels=8, **options).eval()


@pytest.mark.parametrize("norm_cfg", [None, {"type": "GN", "num_groups": 2}])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_formulas(norm_cfg, kernel_size):
    """P_i = conv(C_i), P6 = conv(C5), P7 = conv(ReLU(P6)), each normalised."""
    network, inputs = neck(norm_cfg=norm_cfg, kernel_size=kernel_size), maps()

    def layer(module, x, stride, padding):
        conv, norm = (module, None) if norm_cfg is None else module
        x = F.conv2d(x, conv.weight, conv.bias, stride=stride, padding=padding)
        return x if norm is None else F.group_norm(x, 2)

    expected = [layer(m, x, 1, kernel_size // 2) for m, x in zip(network.convs, inputs, strict=True)]
    expected.append(layer(network.extra_convs[0], inputs[2], 2, 1))
    expected.append(layer(network.extra_convs[1], expected[3].relu(), 2, 1))
    for found, wanted in zip(network(inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_levels_do_not_see_each_other():
    network, inputs = neck(), maps()
    for changed, seen_by in enumerate(([0], [1], [2, 3, 4])):
        moved = [x + (i == changed) for i, x in enumerate(inputs)]
        different = [not torch.equal(a, b) for a, b in zip(network(inputs), network(moved), strict=True)]
        assert [i for i, d in enumerate(different) if d] == seen_by
