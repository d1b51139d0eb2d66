"""Where priors lie relative to boxes, for all assigners."""

import torch
from torch import Tensor

from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import box_coverage


def box_centers(boxes: Tensor) -> Tensor:
    """Compute the centres of boxes: (..., 4) xyxy -> (..., 2) x, y."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def side_distances(points: Tensor, boxes: Tensor) -> Tensor:
    """Compute the distances of points from the sides of boxes, negative outside.

    Args:
        points: (..., 2) x, y.
        boxes: (..., 4) xyxy. The leading dimensions broadcast.

    Returns:
        (4, ...): to the left, top, right and bottom side.
    """
    x, y = points.unbind(dim=-1)
    left, top, right, bottom = boxes.unbind(dim=-1)
    return torch.stack([x - left, y - top, right - x, bottom - y])


def is_inside(points: Tensor, boxes: Tensor, margin: float = 0.0) -> Tensor:
    """Tell whether points lie inside boxes, over ``margin`` pixels from the border: (..., 2), (..., 4) -> (...)."""
    return side_distances(points, boxes).amin(dim=0) > margin


def is_near(points: Tensor, centers: Tensor, radius: Tensor) -> Tensor:
    """Tell whether points (..., 2) lie inside squares of half-side ``radius`` (...) around centres (..., 2): (...)."""
    x, y = points.unbind(dim=-1)
    center_x, center_y = centers.unbind(dim=-1)
    return torch.maximum((x - center_x).abs(), (y - center_y).abs()) < radius


def strides_of(priors: Tensor, level_lengths: list[int] | None) -> Tensor:
    """Read the stride of each prior's level from the steps between centres: (A, 4) -> (A,) pixels.

    A level of a single cell has an infinite one. Without ``level_lengths``, a prior's width is its stride, as with
    points.
    """
    if level_lengths is None:
        return priors[:, 2] - priors[:, 0]
    strides = []
    for level in box_centers(priors).split(level_lengths):
        steps = level.diff(dim=0).abs().flatten()
        # Centres of the priors of one cell differ by rounding.
        steps = torch.cat([steps.masked_fill(steps < 0.5, torch.inf), steps.new_full((1,), torch.inf)])
        strides.append(steps.amin().expand(len(level)))
    return torch.cat(strides)


def ignore_background(
    assigned: Tensor, priors: Tensor, ignored: Tensor, ignore_iof_thr: float, chunk_size: int
) -> Tensor:
    """Ignore background that lies in a region which is neither object nor background, such as a crowd.

    Args:
        assigned: (A,) as an assigner returns.
        priors: (A, 4) xyxy. Of a point, the square of side = stride around it.
        ignored: (I, 4) xyxy regions.
        ignore_iof_thr: Share of a prior's area in one region, above which it is ignored.
        chunk_size: Regions that are compared with all priors at once.

    Returns:
        (A,) with ``IGNORE`` for ``BACKGROUND`` there.
    """
    if len(ignored) == 0:
        return assigned
    inside = torch.zeros_like(assigned, dtype=torch.bool)
    for chunk in ignored.split(chunk_size):
        inside |= box_coverage(priors, chunk).amax(dim=0) > ignore_iof_thr
    return assigned.masked_fill(inside & (assigned == BACKGROUND), IGNORE)
