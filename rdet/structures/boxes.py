"""Geometry of boxes that torchvision does not have."""

import torch
from torch import Tensor


def box_coverage(boxes: Tensor, regions: Tensor) -> Tensor:
    """How much of each box lies inside each region (intersection over the box's own area).

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


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes in pairs; 0 where both have no area.

    Args:
        first, second: (..., 4) xyxy.

    Returns:
        (...) in [0, 1].
    """
    overlap = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    intersection = overlap.clamp(min=0).prod(dim=-1)
    areas = sum((box[..., 2:] - box[..., :2]).clamp(min=0).prod(dim=-1) for box in (first, second))
    return intersection / (areas - intersection).clamp(min=torch.finfo(first.dtype).eps)
