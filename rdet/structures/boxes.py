"""Geometry of boxes that torchvision does not have."""

import torch
from torch import Tensor


def box_coverage(boxes: Tensor, regions: Tensor) -> Tensor:
    """Compute the share of each box's area that lies inside each region.

    Args:
        boxes: (M, 4) xyxy.
        regions: (R, 4) xyxy.

    Returns:
        (R, M) in [0, 1].
    """
    top_left = torch.maximum(boxes[None, :, :2], regions[:, None, :2])
    bottom_right = torch.minimum(boxes[None, :, 2:], regions[:, None, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)  # (R, M)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=-1)
    return intersection / area.clamp(min=torch.finfo(boxes.dtype).eps)


def sides_of(boxes: Tensor) -> Tensor:
    """Compute width and height of boxes, (..., 4) xyxy -> (..., 2); 0 where the corners are in the wrong order."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)


def area(sides: Tensor) -> Tensor:
    """Multiply width and height, (..., 2) -> (...)."""
    return sides[..., 0] * sides[..., 1]  # not `prod`, whose gradient waits for the device


def iou_and_union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Compute IoU and union of boxes in pairs, with finite gradients for any boxes.

    Args:
        first, second: (..., 4) xyxy.

    Returns:
        IoU (...) in [0, 1], 0 where both have no area, and area of the union (...).
    """
    overlap = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    intersection = area(overlap.clamp(min=0))
    union = area(sides_of(first)) + area(sides_of(second)) - intersection
    return intersection / union.clamp(min=torch.finfo(union.dtype).eps), union


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """Compute the IoU of boxes in pairs, (..., 4) and (..., 4) xyxy -> (...) in [0, 1]."""
    return iou_and_union(first, second)[0]


def enclosing_sides(first: Tensor, second: Tensor) -> Tensor:
    """Compute width and height (..., 2) of the smallest box around both, (..., 4) xyxy each."""
    return torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])


def paired_giou(first: Tensor, second: Tensor) -> Tensor:
    """Compute the GIoU (...) in [-1, 1] of boxes (..., 4) xyxy in pairs (Rezatofighi et al., CVPR 2019, algorithm 2).

    It is the IoU minus the share of the enclosing box that neither box covers; that of torchvision waits for the
    device.
    """
    iou, union = iou_and_union(first, second)
    enclosing = area(enclosing_sides(first, second))
    return iou - (enclosing - union) / enclosing.clamp(min=torch.finfo(enclosing.dtype).eps)
