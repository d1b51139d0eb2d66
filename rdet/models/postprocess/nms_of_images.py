"""Non-maximum suppression of many images at once, which tells the host nothing before the end.

torchvision's, called for each image, ends with a count that the host waits for. What a box drops does not depend on
the boxes that a weaker one drops: so all boxes that no undecided one can drop are decided at once, and a few such
rounds decide all.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# Rounds that decide nearly all images: as many as the longest chain of boxes each of which the next would drop.
_ROUNDS = 24
# Pairs of boxes that are compared at once: 64 MB for each number of them.
_PAIRS = 2**24


def kept_and_settled(boxes: Tensor, groups: Tensor, is_real: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """Suppress greedily: a box drops the weaker ones of its group whose IoU with it exceeds a threshold.

    Args:
        boxes: (N, C, 4) xyxy, of each image the best first.
        groups: (N, C) int64, the same number for boxes that compete.
        is_real: (N, C) bool; other boxes neither drop nor stay.
        iou_threshold: The threshold.

    Returns:
        (N, C) bool, which boxes stay; and (N,) bool, whether the rounds decided all boxes of the image.
    """
    at_once = max(1, _PAIRS // max(boxes.shape[1] ** 2, 1))
    parts = zip(boxes.split(at_once), groups.split(at_once), strict=True)
    drops = torch.cat([_drops(*part, iou_threshold) for part in parts])  # (N, C, C)
    before = stays = is_real
    for _ in range(_ROUNDS):
        before = stays
        stays = is_real & (torch.bmm(stays[:, None].to(drops.dtype), drops)[:, 0] == 0)
    return stays, (stays == before).all(dim=1)


def _drops(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Mark with 1 which box, if it stays, drops which: (N, C, C) float16, the first index drops the second."""
    left, top, right, bottom = boxes.unbind(dim=2)
    width = (_pairs(torch.minimum, right) - _pairs(torch.maximum, left)).clamp_(min=0)
    height = (_pairs(torch.minimum, bottom) - _pairs(torch.maximum, top)).clamp_(min=0)
    intersection = width.mul_(height)
    area = (right - left) * (bottom - top)
    iou = intersection / (_pairs(torch.add, area) - intersection)
    return ((iou > iou_threshold) & _pairs(torch.eq, groups)).triu_(diagonal=1).to(torch.float16)


def _pairs(operation: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> Tensor:
    return operation(values[:, :, None], values[:, None])
