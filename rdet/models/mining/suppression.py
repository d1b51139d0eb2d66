"""Non-maximum suppression among boxes that stay where they are: priors.

torchvision's compares all boxes at every call. Which priors overlap does not change from step to
step, and few overlap much, so that finding them once leaves little to do.
"""

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou

_CHUNK = 512
# Before a host asks a GPU whether all is decided, which it mostly is.
_ROUNDS = 16


def overlapping_pairs(boxes: Tensor, iou_threshold: float) -> Tensor:
    """Find all pairs of different boxes whose IoU is above a threshold.

    Only boxes of similar heights in similar rows are compared: an IoU above t needs heights with a
    ratio above t, and centres that are less than (1 - t) times the larger height apart.

    Args:
        boxes: (A, 4) xyxy with positive sides.
        iou_threshold: t, above 0.

    Returns:
        (2, E) int64, both orders of each pair.
    """
    if not len(boxes):
        return boxes.new_zeros(2, 0, dtype=torch.int64)
    middle = (boxes[:, 1] + boxes[:, 3]) / 2
    octave = (boxes[:, 3] - boxes[:, 1]).log2().floor()
    octaves = octave.unique().tolist()
    of_octave = {}
    for value in octaves:
        index = (octave == value).nonzero().squeeze(1)
        of_octave[value] = index[middle[index].argsort()]
    pairs = []
    for upper in octaves:
        reach = (1 - iou_threshold) * 2 ** (upper + 1)
        columns = of_octave[upper]
        for lower in octaves:
            if not 0 <= upper - lower <= math.ceil(-math.log2(iou_threshold)):
                continue
            for rows in of_octave[lower].split(_CHUNK):
                ends = torch.stack([middle[rows[0]] - reach, middle[rows[-1]] + reach])
                first, last = torch.searchsorted(middle[columns], ends).tolist()
                near = columns[first : last + 1]
                row, column = (box_iou(boxes[rows], boxes[near]) > iou_threshold).nonzero(as_tuple=True)
                pair = torch.stack([rows[row], near[column]])
                # Within an octave both orders turn up, and each box with itself.
                pairs.append(pair[:, pair[0] != pair[1]] if upper == lower else torch.cat([pair, pair.flip(0)], dim=1))
    return torch.cat(pairs, dim=1)


def greedy_survivors(order: Tensor, pairs: Tensor, num_boxes: int) -> Tensor:
    """Suppress greedily: of each two boxes that overlap, the later one goes if the earlier one stays.

    All that come before every overlapping one that is still undecided stay at once, and what overlaps
    them goes; a few such rounds decide all.

    Args:
        order: (n,) int64, different indices of boxes, the first to stay first; others take no part.
        pairs: (2, E), see :func:`overlapping_pairs`.
        num_boxes: A.

    Returns:
        (m,) int64, those of ``order`` that stay, in that order.
    """
    last = len(order)
    rank = order.new_full((num_boxes,), last).index_copy_(0, order, torch.arange(last, device=order.device))
    stays = torch.zeros_like(rank, dtype=torch.bool)
    undecided = rank < last
    first, second = pairs
    while len(first):
        both = undecided[first] & undecided[second]
        first, second = first[both], second[both]
        earliest = torch.full_like(rank, last).scatter_reduce_(0, first, rank[second], "amin")
        new = undecided & (rank < earliest)
        stays |= new
        undecided &= ~new
        undecided[second[new[first]]] = False
    return order[(stays | undecided)[order]]


def survivors_of_ranks(rank: Tensor, pairs: Tensor) -> Tensor:
    """Suppress as :func:`greedy_survivors` does, for a GPU: nothing gets smaller, and the host asks every few rounds.

    Args:
        rank: (A,) int64, the place of each box in the order; those that take no part have A.
        pairs: (2, E), see :func:`overlapping_pairs`.

    Returns:
        (A,) bool, which stay.
    """
    last = len(rank)
    first, second = pairs
    stays = torch.zeros_like(rank, dtype=torch.bool)
    undecided = rank < last
    is_decided = last == 0
    while not is_decided:
        for _ in range(_ROUNDS):
            rival = rank[second].masked_fill(~(undecided[first] & undecided[second]), last)
            earliest = torch.full_like(rank, last).scatter_reduce_(0, first, rival, "amin")
            new = undecided & (rank < earliest)
            stays = stays | new
            hit = torch.zeros_like(rank).scatter_reduce_(0, second, new[first].long(), "amax")
            undecided = undecided & ~new & (hit == 0)
        is_decided = not undecided.any()  # the only wait
    return stays
