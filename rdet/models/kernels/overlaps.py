"""Which boxes of an image drop which, without a matrix for each step of an IoU."""

import triton
import triton.language as tl
from torch import Tensor

# Boxes on each side of what a program of the kernel compares.
_SIDE = 64


@triton.jit
def _drops(boxes, groups, matrix, size, side, iou_threshold, block: tl.constexpr):
    first = tl.program_id(0) * block + tl.arange(0, block)
    second = tl.program_id(1) * block + tl.arange(0, block)
    image = tl.program_id(2).to(tl.int64)
    boxes += image * size * 4
    groups += image * size
    has_first, has_second = first < size, second < size
    left = tl.load(boxes + first * 4, mask=has_first)[:, None]
    top = tl.load(boxes + first * 4 + 1, mask=has_first)[:, None]
    right = tl.load(boxes + first * 4 + 2, mask=has_first)[:, None]
    bottom = tl.load(boxes + first * 4 + 3, mask=has_first)[:, None]
    left_2 = tl.load(boxes + second * 4, mask=has_second)[None, :]
    top_2 = tl.load(boxes + second * 4 + 1, mask=has_second)[None, :]
    right_2 = tl.load(boxes + second * 4 + 2, mask=has_second)[None, :]
    bottom_2 = tl.load(boxes + second * 4 + 3, mask=has_second)[None, :]
    width = tl.minimum(right, right_2) - tl.maximum(left, left_2)
    height = tl.minimum(bottom, bottom_2) - tl.maximum(top, top_2)
    common = tl.where(width > 0, width, 0.0) * tl.where(height > 0, height, 0.0)
    areas = (right - left) * (bottom - top) + (right_2 - left_2) * (bottom_2 - top_2)
    rival = tl.load(groups + first, mask=has_first)[:, None] == tl.load(groups + second, mask=has_second)[None, :]
    drops = (common / (areas - common) > iou_threshold) & rival & (first[:, None] < second[None, :])
    place = matrix + image * side * side + first[:, None] * side + second[None, :]
    inside = has_first[:, None] & has_second[None, :]
    tl.store(place, tl.where(drops, -1.0, 0.0), mask=inside)


def subtract_drops(boxes: Tensor, groups: Tensor, matrix: Tensor, iou_threshold: float) -> None:
    """Write -1 into a matrix where a box, if it stays, drops another, and 0 elsewhere.

    Args:
        boxes: (N, C, 4) xyxy float32, of each image the best first.
        groups: (N, C) int64, the same number for boxes that compete.
        matrix: (N, S, S), S no less than C; its first C rows and columns are overwritten.
        iou_threshold: IoU above which the better box drops the other.
    """
    number, size = groups.shape
    if number and size:
        tiles = triton.cdiv(size, _SIDE)
        grid = (tiles, tiles, number)
        _drops[grid](
            boxes.contiguous(), groups.contiguous(), matrix, size, matrix.shape[-1], float(iou_threshold), block=_SIDE
        )
