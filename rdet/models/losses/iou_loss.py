"""Losses on the overlap of decoded boxes.

torchvision has some of these formulas, but its boolean indexing waits for the device, and its
complete IoU loss has no gradient for a box without height.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from rdet.models.losses.base import DecodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.boxes import enclosing_sides, iou_and_union, paired_giou, sides_of

# ---- geometry of boxes in pairs, (..., 4) xyxy; finite in value and gradient for any boxes


def center_distance(first: Tensor, second: Tensor) -> Tensor:
    """Compute the squared distance of the centres over the squared diagonal of the enclosing box: (...) in [0, 1]."""
    offset = ((first[..., :2] + first[..., 2:]) - (second[..., :2] + second[..., 2:])) / 2
    return offset.square().sum(dim=-1) / _positive(enclosing_sides(first, second).square().sum(dim=-1))


def _positive(x: Tensor) -> Tensor:
    return x.clamp(min=torch.finfo(x.dtype).eps)


# ---- losses


class OverlapLoss(DecodedBoxLoss):
    """Base of losses on decoded boxes.

    Shapes: predicted (P, 4), boxes (P, 4), xyxy -> (P,) float32.

    Args:
        loss_weight: Factor of the result.
    """

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    @abstractmethod
    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        """Compute the loss of each pair, (P,)."""

    def forward(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        return self.paired(at_least_float32(predicted), at_least_float32(boxes)) * self.loss_weight


@MODELS.register_module()
class IoULoss(OverlapLoss):
    """-ln(IoU) (UnitBox, Yu et al., ACM MM 2016, section 2), 1 - IoU or 1 - IoU^2.

    For the shapes see :class:`OverlapLoss`.

    Boxes that do not overlap have no gradient; the logarithm takes an IoU below 1e-6 as 1e-6.

    Args:
        mode: ``'log'``, as in FCOS (Tian et al., ICCV 2019), ``'linear'``, or ``'square'``, as in YOLOX.
        loss_weight: Factor of the result.
    """

    def __init__(self, mode: str = "log", loss_weight: NotNegative = 1.0):
        super().__init__(loss_weight)
        if mode not in ("log", "linear", "square"):
            raise ValueError(f"mode is {mode!r}; valid: 'log', 'linear', 'square'")
        self.mode = mode

    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        iou, _ = iou_and_union(predicted, boxes)
        if self.mode == "log":
            return -iou.clamp(min=1e-6).log()
        return 1 - (iou if self.mode == "linear" else iou.square())


@MODELS.register_module()
class GIoULoss(OverlapLoss):
    """1 - GIoU, in [0, 2] (Generalized IoU, Rezatofighi et al., CVPR 2019, algorithm 2).

    GIoU is IoU minus the share of the enclosing box that neither box covers. For the shapes see
    :class:`OverlapLoss`.
    """

    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        return 1 - paired_giou(predicted, boxes)


@MODELS.register_module()
class DIoULoss(OverlapLoss):
    """1 - IoU + d^2 / c^2, in [0, 2] (Distance-IoU, Zheng et al., AAAI 2020, equation 7).

    d is the distance of the centres, c the diagonal of the enclosing box. For the shapes see
    :class:`OverlapLoss`.
    """

    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        iou, _ = iou_and_union(predicted, boxes)
        return 1 - iou + center_distance(predicted, boxes)


@MODELS.register_module()
class CIoULoss(OverlapLoss):
    """DIoU loss + alpha v (Complete IoU, Zheng et al., AAAI 2020, equations 8 to 11).

    v = 4 / pi^2 (difference of arctan(width / height))^2 compares the shapes, and alpha = v / (1 - IoU + v)
    is taken as a constant in the gradient. (MMDetection has alpha 0 below an IoU of 0.5, which the
    authors added in IEEE Trans. Cybernetics, 2022.) For the shapes see :class:`OverlapLoss`.
    """

    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        iou, _ = iou_and_union(predicted, boxes)
        angle, target_angle = (torch.atan2(*_positive(sides_of(x)).unbind(dim=-1)) for x in (predicted, boxes))
        v = 4 / math.pi**2 * (angle - target_angle).square()
        with torch.no_grad():
            alpha = v / _positive(1 - iou + v)
        return 1 - iou + center_distance(predicted, boxes) + alpha * v


@MODELS.register_module()
class EIoULoss(OverlapLoss):
    """DIoU loss + dw^2 / cw^2 + dh^2 / ch^2 (Efficient IoU, Zhang et al., Neurocomputing 2022).

    dw and dh are the differences of width and height, cw and ch the sides of the enclosing box. For
    the shapes see :class:`OverlapLoss`.
    """

    def paired(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        iou, _ = iou_and_union(predicted, boxes)
        difference = sides_of(predicted) - sides_of(boxes)  # (P, 2)
        shape = (difference.square() / _positive(enclosing_sides(predicted, boxes).square())).sum(dim=-1)
        return 1 - iou + center_distance(predicted, boxes) + shape
