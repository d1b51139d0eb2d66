"""Non-maximum suppression of a batch whose result has one shape, whatever is found."""

import torch
from torch import Tensor
from torchvision.ops import nms


def stays_by_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Tell which boxes stay, by torch's and torchvision's operators alone.

    Groups of all images are moved apart at once, in double precision: in single precision, boxes of the last of 80
    classes lie on a grid of 1/128 pixel. ``batched_nms``, which detectors call, is torchvision's and may decide
    otherwise about an overlap within 1e-4 of the threshold.

    Args:
        boxes: (N, C, 4) xyxy, the widths and heights not negative.
        scores: (N, C); below 0: not a box.
        groups: (N, C) int64, the same number for boxes of an image that compete.
        iou_threshold: Overlap above which the weaker of two boxes of a group is dropped.

    Returns:
        (N, C) bool.
    """
    number, size = scores.shape
    is_real = scores >= 0
    unit = boxes.new_tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    # What is no box is one and the same in a group of its own: the first drops all others at once.
    exact = torch.where(is_real[..., None], boxes.double(), unit)
    image = torch.arange(number, device=boxes.device)[:, None]
    kinds = groups.amax() + 2
    apart = torch.where(is_real, groups, kinds - 1) + image * kinds
    reach = exact.abs().amax() * 2 + 1
    moved = (exact + (apart * reach)[..., None]).reshape(-1, 4)
    keep = nms(moved, scores.double().reshape(-1), iou_threshold)
    stays = torch.zeros(number * size, dtype=torch.bool, device=boxes.device)
    return stays.scatter(0, keep, torch.ones_like(keep, dtype=torch.bool)).reshape(number, size) & is_real


@torch.library.custom_op("rdet::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, num_groups: int, iou_threshold: float, most: int) -> Tensor:
    """Tell which boxes stay, as one operator, for which an ONNX file has ``NonMaxSuppression``.

    Args:
        boxes, scores, groups, iou_threshold: See :func:`stays_by_nms`.
        num_groups: Groups there may be.
        most: Boxes that are needed of a group.

    Returns:
        (N, C) bool.
    """
    return stays_by_nms(boxes, scores, groups, iou_threshold)


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, num_groups: int, iou_threshold: float, most: int) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)
