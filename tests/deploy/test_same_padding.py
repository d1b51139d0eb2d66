"""TensorFlow's padding with amounts that are known beforehand."""

import pytest
import torch
from torch import nn

from rdet.deploy.same_padding import FixedSameConv2d, fix_same_padding

layers = pytest.importorskip("timm.layers")


class Backbone(nn.Module):
    strides = (8, 32)

    def __init__(self):
        super().__init__()
        self.first = layers.Conv2dSame(3, 4, (3, 5), stride=2, bias=True)
        self.rest = nn.Sequential(layers.Conv2dSame(4, 4, 1, stride=2), nn.Conv2d(4, 4, 3, stride=2, padding=1))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_it_is_timms_where_sides_are_multiples_of_the_stride(stride):
    for kernel, dilation in (((1, 1), 1), ((3, 5), 1), ((4, 2), 1), ((3, 3), 2)):
        conv = layers.Conv2dSame(6, 4, kernel, stride=stride, dilation=dilation, groups=2)
        x = torch.rand(2, 6, 12, 18)
        assert torch.equal(FixedSameConv2d(conv)(x), conv(x)), (kernel, dilation)


def test_convolutions_are_replaced_where_all_sides_are_multiples():
    net = Backbone()
    x, before = torch.rand(1, 3, 32, 64), dict(net.named_parameters())
    wanted = net.rest(net.first(x))
    fix_same_padding(net, 48)  # not of 32
    assert isinstance(net.first, layers.Conv2dSame)
    fix_same_padding(net, 64)
    assert [type(net.first), type(net.rest[0]), type(net.rest[1])] == [FixedSameConv2d, FixedSameConv2d, nn.Conv2d]
    assert torch.equal(net.rest(net.first(x)), wanted)
    assert all(value is before[name] for name, value in net.named_parameters())  # under the same names
