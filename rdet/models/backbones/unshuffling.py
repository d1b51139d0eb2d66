"""ShuffleNetV2 without its shuffles."""

from typing import TypeGuard, cast

import torch
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual, channel_shuffle


class UnshuffledStage(nn.Sequential):
    """A stage of ShuffleNetV2 (Ma et al., ECCV 2018, figure 3) whose channels lie as they are taken.

    A unit convolves half of the channels, leaves the others as they are, and shuffles all, so that the next unit takes
    other ones. Which unit takes a channel is known beforehand: so the last convolution of a branch makes those first
    that are taken first, its map is cut into a part for each unit, and a unit puts the parts that it takes together.
    Nothing is moved but what is convolved next. Results are the same, but for the order in which products are summed.

    Shapes: (N, C_in, H, W) -> (N, C_out, H / 2, W / 2).

    Args:
        stage: Its units, whose normalisations are folded (:mod:`rdet.models.backbones.folding`); changed in place.
        order: (C_in,) int64, which of the original channels each channel of the input is; None: each is itself.

    Attributes:
        order: (C_out,) int64, the same of the output.
    """

    def __init__(self, stage: nn.Sequential, order: Tensor | None = None):
        super().__init__(*stage)
        first, *others = (cast("InvertedResidual", unit) for unit in stage)
        branches = [first.branch1, first.branch2, *(unit.branch2 for unit in others)]
        half = branches[0][-3].out_channels
        numbers = torch.arange(len(branches) * half).reshape(-1, half)  # of all channels that branches make
        taker = torch.full((numbers.numel(),), len(others))  # a unit; the end of the stage
        wanted = []  # by each unit and at the end, in the order of the original
        now = _shuffled(numbers[0], numbers[1])
        for index in range(len(others)):
            stays, taken = now.split(half)
            taker[taken] = index
            wanted.append(taken)
            now = _shuffled(stays, numbers[index + 2])
        wanted.append(now)

        self._sizes: list[list[tuple[int, int]]] = []  # of each branch's map, the units that take of it, and how much
        parts: list[list[Tensor]] = [[] for _ in wanted]
        for branch, own in zip(branches, numbers, strict=True):
            units, place = taker[own].sort(stable=True)
            _make_in_order(branch[-3], place)
            kinds, sizes = units.unique_consecutive(return_counts=True)
            self._sizes.append(list(zip(kinds.tolist(), sizes.tolist(), strict=True)))
            for kind, part in zip(kinds.tolist(), own[place].split(sizes.tolist()), strict=True):
                parts[kind].append(part)
        orders = [_places(torch.cat(part), original) for part, original in zip(parts, wanted, strict=True)]
        for unit, found in zip(others, orders, strict=False):
            take_in_order(unit.branch2[0], found)
        self.order = orders[-1]
        if order is not None:
            _make_in_order(first.branch1[0], order)  # depthwise
            take_in_order(first.branch1[2], order)
            take_in_order(first.branch2[0], order)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (cast("InvertedResidual", unit) for unit in self)
        parts: list[list[Tensor]] = [[] for _ in self]
        for index, branch in enumerate([first.branch1, first.branch2, *(unit.branch2 for unit in others)]):
            made = branch(x if index < 2 else torch.cat(parts[index - 2], dim=1))
            units, sizes = zip(*self._sizes[index], strict=True)
            for unit, part in zip(units, made.split(sizes, dim=1) if len(sizes) > 1 else [made], strict=True):
                parts[unit].append(part)
        return torch.cat(parts[-1], dim=1)


def unshuffle(network: nn.Module) -> None:
    """Take the shuffles out of stages that are children of a network, for good.

    Args:
        network: Runs its children one after the other, with normalisations folded.
    """
    order: Tensor | None = None
    for name, child in list(network.named_children()):
        if not is_shuffled(child):
            order = None
            continue
        stage = UnshuffledStage(child, order)
        setattr(network, name, stage)
        order = stage.order


def is_shuffled(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Tell whether a module is a stage of torchvision's ShuffleNetV2 that can do without its shuffles."""
    if not isinstance(module, nn.Sequential) or not all(isinstance(unit, InvertedResidual) for unit in module):
        return False
    units = [cast("InvertedResidual", unit) for unit in module]
    branches = [branch for unit in units for branch in (unit.branch1, unit.branch2) if len(branch)]
    # Normalisations are folded, and activations do not tell channels apart.
    ends = [(branch[-2], next(branch[-1].parameters(), None)) for branch in branches]
    are_plain = all(isinstance(norm, nn.Identity) and parameter is None for norm, parameter in ends)
    return are_plain and [unit.stride for unit in units] == [2, *[1] * (len(units) - 1)]


def _shuffled(first: Tensor, second: Tensor) -> Tensor:
    return channel_shuffle(torch.cat([first, second]).reshape(1, -1, 1, 1), 2).flatten()


def _places(channels: Tensor, original: Tensor) -> Tensor:
    """Find where each of some channels is in the original order."""
    return original.argsort()[channels.argsort().argsort()]


def take_in_order(conv: nn.Conv2d, order: Tensor) -> None:
    """Have a convolution take a map whose channels are the original ones in another order."""
    conv.weight = nn.Parameter(conv.weight[:, order].contiguous(), requires_grad=False)


def _make_in_order(conv: nn.Conv2d, order: Tensor) -> None:
    conv.weight = nn.Parameter(conv.weight[order].contiguous(), requires_grad=False)
    if conv.bias is not None:
        conv.bias = nn.Parameter(conv.bias[order], requires_grad=False)
