"""Non-maximum suppression of many images at once, which seldom asks the device how far it is.

torchvision's, called for each image, ends with a count that the host waits for. What a box drops does not depend on
the boxes that a weaker one drops: so all boxes that no undecided one can drop are decided at once, and a few such
rounds decide all. A round is two operators, as a device that is given one image waits for the host to start them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rdet.models.autocast import no_autocast

# Pairs of boxes that are compared at once: 64 MB for each number of them.
_PAIRS = 2**24


class Suppression:
    """Greedy suppression: a box drops the weaker ones of its group whose IoU with it exceeds a threshold.

    Args:
        boxes: (N, C, 4) xyxy, of each image the best first.
        groups: (N, C) int64, the same number for boxes that compete.
        is_real: (N, C) bool; other boxes neither drop nor stay.
        iou_threshold: The threshold.
    """

    def __init__(self, boxes: Tensor, groups: Tensor, is_real: Tensor, iou_threshold: float):
        number, size = boxes.shape[:2]
        # Column c is 1, less 1 for each box that drops box c: so a product with who stays, cut at 0, is who stays after
        # a round. The 1 is in a row after those of the boxes, which always stays; to a side of 8 n, products are fast.
        side = (size // 8 + 1) * 8
        self._matrix = torch.zeros(number, side, side, dtype=torch.float16, device=boxes.device)
        self._matrix[:, size, :size] = is_real
        self._matrix[:, size, size] = 1
        at_once = max(1, _PAIRS // max(size**2, 1))
        images = (part.split(at_once) for part in (self._matrix, boxes, groups))
        for matrix, own, competing in zip(*images, strict=True):
            matrix[:, :size, :size].add_(_drops(own, competing, iou_threshold), alpha=-1)
        self._size = size
        self._before = self._stays = self._matrix[:, size : size + 1]  # (N, 1, side)

    def go_on(self, rounds: int) -> None:
        """Decide more boxes: at least all whose chain, of boxes each of which would drop the next, is that long."""
        with no_autocast(self._matrix):  # it would cast the matrix in each round
            for _ in range(rounds):
                self._before = self._stays
                self._stays = torch.bmm(self._stays, self._matrix).relu_()

    @property
    def stays(self) -> Tensor:
        """Which boxes stay, as far as it is decided: (N, C) bool."""
        return self._stays[:, 0, : self._size] > 0

    @property
    def is_decided(self) -> Tensor:
        """Of which images the last round changed nothing, so that no other would: (N,) bool."""
        return (self._stays == self._before)[:, 0].all(dim=1)


def _drops(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Tell which box, if it stays, drops which: (N, C, C) bool, the first index drops the second."""
    corners = boxes.movedim(2, 0)  # (4, N, C)
    first, last = corners[:2], corners[2:]
    common = (_pairs(torch.minimum, last) - _pairs(torch.maximum, first)).clamp_(min=0)
    intersection = common[0].mul_(common[1])
    sides = last - first
    area = sides[0] * sides[1]
    iou = intersection / _pairs(torch.add, area).sub_(intersection)
    return (iou > iou_threshold).logical_and_(_pairs(torch.eq, groups)).triu_(diagonal=1)


def _pairs(operation: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> Tensor:
    return operation(values[..., :, None], values[..., None, :])
