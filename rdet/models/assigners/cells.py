"""Which priors stand in the cell of a box's centre."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rdet.models.assigners.geometry import box_centers, strides_of


def strides_of_priors(priors: Tensor, level_lengths: list[int], strides: Sequence[int] | None) -> Tensor:
    """Say the stride of each prior, (A, 1).

    Args:
        priors: (A, 4) xyxy.
        level_lengths: How many of them are of each level.
        strides: Of the levels; None: as the priors stand, of which a box on the border of two cells may ask too much.
    """
    if strides is None:
        return strides_of(priors, level_lengths)[:, None]
    of_priors = torch.tensor(strides, dtype=priors.dtype).repeat_interleave(torch.tensor(level_lengths))
    return of_priors[:, None].to(priors.device, non_blocking=True)


def in_cell(boxes: Tensor, priors: Tensor, strides: Tensor) -> Tensor:
    """Tell whether the centre of a box lies in the cell of a prior: (B, 4), (A, 4), (A, 1) -> (B, A)."""
    cells = (box_centers(priors) / strides).floor()  # (A, 2)
    of_boxes = (box_centers(boxes)[:, None] / strides).floor()  # (B, A, 2)
    return (of_boxes == cells).all(dim=-1)
