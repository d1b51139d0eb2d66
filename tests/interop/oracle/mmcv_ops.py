"""A stand-in for ``mmcv.ops``, which the light mmcv lacks, made of torchvision's operators.

What RetinaNet, FCOS, ATSS, GFL, VFNet, TOOD, their deformable backbones and DyHead use computes; every other name is a
class that cannot be built.
"""

import sys
import types
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

# Modules that MMDetection imports from.
_MODULES = ("carafe", "deform_conv", "merge_cells", "modulated_deform_conv", "multi_scale_deform_attn", "nms")
_MODULES += ("roi_align",)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, **limits: Any) -> tuple[Tensor, Tensor]:
    """Detections (n, 5) with their scores, best first, and their index (n,)."""
    if limits:
        raise NotImplementedError(f"nms with {sorted(limits)}")
    keep = torchvision.ops.nms(boxes, scores, float(iou_threshold))
    return torch.cat([boxes[keep], scores[keep, None]], dim=1), keep


def batched_nms(
    boxes: Tensor, scores: Tensor, idxs: Tensor, nms_cfg: dict[str, Any], class_agnostic: bool = False
) -> tuple[Tensor, Tensor]:
    """:func:`nms` of each class by itself: an offset moves the boxes (n, 4) of the classes ``idxs`` (n,) apart.

    As in mmcv, from 10000 boxes on one class is looked at after the other.
    """
    options = dict(nms_cfg)
    kind, limit = options.pop("type", "nms"), options.pop("split_thr", 10000)
    if kind != "nms" or class_agnostic or len(boxes) == 0:
        raise NotImplementedError(f"{kind}, class_agnostic={class_agnostic}, {len(boxes)} boxes")
    moved = boxes + (idxs.to(boxes) * (boxes.max() + 1))[:, None]
    groups = [torch.arange(len(boxes))]
    if len(boxes) >= limit:
        groups = [(idxs == label).nonzero()[:, 0] for label in idxs.unique()]
    keep = torch.cat([group[nms(moved[group], scores[group], **options)[1]] for group in groups])
    keep = keep[scores[keep].sort(descending=True)[1]]
    return torch.cat([boxes[keep], scores[keep, None]], dim=1), keep


class DeformConv2d(nn.Module):
    """Deformable convolution; offsets are (y, x) in both libraries. Maps below the kernel's size are padded to it."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, **others: Any
    ):
        super().__init__()
        if others not in ({}, {"bias": False}):
            raise NotImplementedError(f"DeformConv2d with {others}")
        self.kernel_size, self.stride, self.padding = _pair(kernel_size), _pair(stride), _pair(padding)
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels, *self.kernel_size))

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        height, width = x.shape[2:]
        missing = (0, max(self.kernel_size[1] - width, 0), 0, max(self.kernel_size[0] - height, 0))
        x, offset = F.pad(x, missing), F.pad(offset, missing)
        out = deform_conv2d(x, offset, self.weight, self.stride, self.padding)
        return out[:, :, : out.shape[2] - missing[3], : out.shape[3] - missing[1]]


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Deformable convolution; the groups follow from the shapes."""
    offset = offset.to(x.dtype)
    return torchvision.ops.deform_conv2d(x, offset, weight, None, _pair(stride), _pair(padding), _pair(dilation))


class ModulatedDeformConv2d(nn.Conv2d):
    """DCNv2 with given offsets and factors.

    mmcv reads both as they lie in memory, an image after the other, whatever their size is: DyHead hands larger maps.
    """

    def __init__(self, *args: Any, deform_groups: int = 1, deformable_groups: int = 1, **options: Any):
        super().__init__(*args, **options)
        self.deform_groups = max(deform_groups, deformable_groups)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        size = [
            (cells + 2 * pad - step * (kernel - 1) - 1) // stride + 1
            for cells, pad, step, kernel, stride in zip(
                x.shape[2:], self.padding, self.dilation, self.kernel_size, self.stride, strict=True
            )
        ]
        offset, mask = (
            each.reshape(len(x), -1)[:, : each.shape[1] * size[0] * size[1]].reshape(len(x), each.shape[1], *size)
            for each in (offset, mask)
        )
        return torchvision.ops.deform_conv2d(
            x, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    """DCNv2 that reads its offsets and factors from its input."""

    factors = 1

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        numbers = (2 + self.factors) * self.deform_groups * self.kernel_size[0] * self.kernel_size[1]
        own = (self.kernel_size, self.stride, self.padding, self.dilation)
        self.conv_offset = nn.Conv2d(self.in_channels, numbers, *own)

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv_offset(x)
        parts = found.chunk(2 + self.factors, dim=1)
        mask = parts[2].sigmoid() if self.factors else torch.ones_like(parts[0])
        return super().forward(x, torch.cat(parts[:2], dim=1), mask)


class DeformConv2dPack(ModulatedDeformConv2dPack):
    """DCN, without factors."""

    factors = 0


class _Ops(types.ModuleType):
    """Has every name."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        def fail(self, *args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(f"mmcv.ops.{name} has no stand-in")

        return type(name, (nn.Module,), {"__init__": fail})


def install() -> None:
    """Make ``mmcv.ops`` importable. Call it before MMDetection is imported."""
    import mmcv
    from mmengine.registry import MODELS

    if "mmcv.ops" in sys.modules:
        return
    names = ["", *(f".{name}" for name in _MODULES)]
    real = (nms, batched_nms, DeformConv2d, deform_conv2d, ModulatedDeformConv2d)
    for name in names:
        module = _Ops(f"mmcv.ops{name}")
        module.__dict__.update({each.__name__: each for each in real})
        sys.modules[module.__name__] = module
    mmcv.ops = sys.modules["mmcv.ops"]
    MODELS.register_module("DCN", module=DeformConv2dPack)
    MODELS.register_module("DCNv2", module=ModulatedDeformConv2dPack)
