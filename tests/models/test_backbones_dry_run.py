import pytest
import torch
from torch import nn

from rdet.models.backbones.dry_run import dry_run, is_channels_last, stage_of, stride_of, unused_parameters


def conv(stride, width=4, first=False):
    return nn.Conv2d(3 if first else width, width, 3, stride, padding=1)


class Interleaved(nn.Module):
    """Reductions in one list, blocks in another, as in Twins; with a lone parameter, and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(1, 1)
        self.blocks = nn.ModuleList(nn.Sequential(conv(1), nn.ReLU()) for _ in range(2))
        self.reductions = nn.ModuleList([conv(4, first=True), conv(2)])
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        maps = []
        for reduction, block in zip(self.reductions, self.blocks, strict=True):
            x = block(reduction(x)) + self.offset
            maps.append(x)
        return maps


def test_parts_follow_as_they_run():
    network = Interleaved()
    maps, stages = dry_run(network)
    assert [stride_of(x) for x in maps] == [4, 8]
    assert all(x.is_meta for x in maps)
    assert stages == [[], ["reductions.0", "offset", "blocks.0"], ["reductions.1", "blocks.1", "unused"]]


def test_a_part_that_reduces_by_more_than_two_is_taken_apart():
    network = nn.Sequential(nn.Sequential(conv(2, first=True), conv(1), conv(2)), nn.Sequential(conv(2), conv(1)))
    _, stages = dry_run(network)
    assert stages == [["0.0", "0.1"], ["0.2"], ["1"]]


class Branches(nn.Module):
    """A map of stride 2 that is made after one of stride 4, and a squeezing to 1 x 1."""

    def __init__(self):
        super().__init__()
        self.stem, self.low, self.squeeze, self.late = conv(2, first=True), conv(2), nn.AdaptiveAvgPool2d(1), conv(1)

    def forward(self, x):
        x = self.stem(x)
        y = self.low(x)
        return [self.late(x + self.squeeze(y)), y]


def test_stages_do_not_go_back():
    maps, stages = dry_run(Branches())
    assert [stride_of(x) for x in maps] == [2, 4]
    assert stages == [["stem"], ["low", "squeeze", "late"]]


def test_the_network_keeps_its_weights_and_statistics():
    network = nn.Sequential(conv(2, first=True), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    dry_run(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("shape", "stride", "channels_last"),
    [
        ((1, 7, 80, 240), 4, False),
        ((1, 80, 240, 7), 4, True),
        ((1, 80, 240, 720), 4, True),
        ((1, 5, 5, 15), 64, False),
        ((1, 7, 1, 1), None, False),
        ((1, 7, 79, 239), None, False),
        ((1, 7, 80, 120), None, False),
    ],
)
def test_stride_of_a_map(shape, stride, channels_last):
    x = torch.empty(shape, device="meta")
    assert stride_of(x) == stride
    assert is_channels_last(x) == channels_last


@pytest.mark.parametrize(("length", "stride"), [(80 * 240, 4), (20 * 60, 16), (20 * 60 + 1, None), (0, None)])
def test_stride_of_tokens(length, stride):
    assert stride_of(torch.empty(1, length, 7, device="meta")) == stride


@pytest.mark.parametrize(("stride", "stage"), [(1, 0), (2, 0), (4, 1), (8, 2), (14, 3), (16, 3), (32, 4), (64, 5)])
def test_stage_of(stride, stage):
    assert stage_of(stride) == stage


def test_a_layer_of_two_names_keeps_its_weights():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.one = conv(8, first=True), conv(1)
            self.other = self.one

        def forward(self, x):
            return [self.other(self.one(self.first(x)))]

    network = Twice()
    weights = [*network.parameters()]
    dry_run(network)
    assert unused_parameters(network) == []
    assert all(one is other for one, other in zip(network.parameters(), weights, strict=True))
