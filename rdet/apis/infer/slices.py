"""Slices of an image: where they lie, and how what is found in them is merged."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from mmengine.structures import InstanceData
from torch import Tensor

_AT_BORDER = 2.0  # pixels of the image within which a box touches a border
_COVERED = 0.7  # of a cut box, beyond which another box is of the same object
_ROWS = 1024  # cut boxes that are compared with all others at once


class Slice(NamedTuple):
    """A window of an image in pixels; the last column and row are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        """The rows of an array."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """The columns of an array."""
        return slice(self.left, self.right)


class Suppression(Protocol):
    """What merging needs of a model's postprocess."""

    max_per_img: int
    class_agnostic: bool

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make one box of many around an object."""


def slices_of(height: int, width: int, size: tuple[int, int], overlap: float) -> list[Slice]:
    """Cover an image with overlapping slices of one size, row by row.

    The last of a row or column is moved back into the image, so it overlaps more. An image that is smaller than a slice
    has one.

    Args:
        height, width: Of the image.
        size: Height and width of a slice.
        overlap: Of neighbours, as a fraction of a slice.
    """
    tops, lefts = (_starts(side, part, overlap) for side, part in zip((height, width), size, strict=True))
    return [Slice(x, y, min(x + size[1], width), min(y + size[0], height)) for y in tops for x in lefts]


def _starts(side: int, part: int, overlap: float) -> list[int]:
    if part >= side:
        return [0]
    step = max(1, part - round(part * overlap))
    return [*range(0, side - part, step), side - part]


def merge_slices(
    found: Sequence[InstanceData], views: Sequence[Slice], shape: tuple[int, int], suppression: Suppression
) -> InstanceData:
    """Merge what was found in views of an image into detections of the image.

    A box that touches a border of its slice, other than that of the image, may be a part of an object. It is dropped
    where a box of another view, of the same class and of at least half its score, that does not touch a border of its
    own view there covers at least 70 percent of it: that is the object. All others go through the suppression, as if
    one view had found them. An object larger than the overlap that the whole image does not show stays in parts.

    Args:
        found: Of each view, in its pixels.
        views: Where each lies.
        shape: Height and width of the image.
        suppression: The model's.

    Returns:
        ``bboxes`` (n, 4) in pixels of the image, ``scores`` (n,), ``labels`` (n,), best first.
    """
    boxes = torch.cat(
        [one.bboxes + one.bboxes.new_tensor([view.left, view.top] * 2) for one, view in zip(found, views, strict=True)]
    )
    scores = torch.cat([one.scores for one in found])
    labels = torch.cat([one.labels for one in found])
    counts = torch.tensor([len(one.scores) for one in found], device=boxes.device)
    view = torch.arange(len(found), device=boxes.device).repeat_interleave(counts)
    cut = _touches(boxes, view, views, shape)
    groups = torch.zeros_like(labels) if suppression.class_agnostic else labels
    keep = ~_is_part(boxes, scores, groups, view, cut)
    boxes, scores, labels = suppression.suppress(boxes[keep], scores[keep], labels[keep])
    return InstanceData(bboxes=boxes, scores=scores, labels=labels)[: suppression.max_per_img]


def _touches(boxes: Tensor, view: Tensor, views: Sequence[Slice], shape: tuple[int, int]) -> Tensor:
    """Tell which boxes (n, 4) touch a border of their view that is not one of the image: (n,) bool."""
    borders = boxes.new_tensor(views)[view]  # (n, 4)
    outer = boxes.new_tensor([0, 0, shape[1], shape[0]])
    return (((boxes - borders).abs() <= _AT_BORDER) & (borders != outer)).any(dim=1)


def _is_part(boxes: Tensor, scores: Tensor, groups: Tensor, view: Tensor, cut: Tensor) -> Tensor:
    """Tell which boxes are parts of others: (n,) bool; see :func:`merge_slices`."""
    is_part = torch.zeros_like(cut)
    whole = (~cut).nonzero()[:, 0]
    for rows in cut.nonzero()[:, 0].split(_ROWS):
        corners, others = boxes[rows, None], boxes[None, whole]  # (c, 1, 4), (1, w, 4)
        sides = torch.minimum(corners[..., 2:], others[..., 2:]) - torch.maximum(corners[..., :2], others[..., :2])
        common = sides.clamp(min=0).prod(dim=-1)  # (c, w)
        area = (boxes[rows, 2:] - boxes[rows, :2]).clamp(min=0).prod(dim=-1)[:, None]
        covers = common >= _COVERED * area
        covers &= (groups[rows, None] == groups[whole]) & (view[rows, None] != view[whole])
        covers &= scores[whole] >= scores[rows, None] / 2
        is_part[rows] = covers.any(dim=1)
    return is_part
