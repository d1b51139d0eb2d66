"""The same boxes around every cell of a pyramid."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.schema import Count, Fraction
from rdet.structures.prior_grid import PriorGrid

K = TypeVar("K")
V = TypeVar("V")

# Image sizes whose priors are kept: multi-scale training must not grow them without end.
_SIZES_KEPT = 64


class GridPriors:
    """Base of generators whose priors are boxes around the cells of each level.

    Args:
        strides: Stride of each level in pixels.
        shapes: (P, 2) of each level, widths and heights of the priors around one cell.
        center_offset: Centre of the first cell in strides from the image's corner.
        rounded: Whether corners are rounded, and the step between cells is the image's size divided by the
            level's, cut to a whole number.

    Attributes:
        strides, shapes: As given.
        num_priors: P; where levels differ, the number of each.
        prior_scale: Side of the prior in strides where each cell has one square, the same at every
            level; else None.
    """

    def __init__(self, strides: list[Count], shapes: list[Tensor], center_offset: Fraction, rounded: bool = False):
        self.strides = list(strides)
        self.shapes = shapes
        self.center_offset = center_offset
        self.rounded = rounded
        self.num_priors = _one_or_each([len(shape) for shape in shapes])
        self.prior_scale = _side_of_squares(shapes, self.strides)
        self._cache: dict[tuple[tuple[tuple[int, int], ...], torch.device], Tensor] = {}
        self._grids: dict[tuple[tuple[int, int], ...], PriorGrid] = {}

    def __call__(self, level_sizes: list[tuple[int, int]], device: torch.device | str = "cpu") -> Tensor:
        """Make the priors of all levels.

        Args:
            level_sizes: (height, width) of each level, in cells.
            device: Where they shall be.

        Returns:
            (A, 4) float32 xyxy pixels, by level, row, column, shape. Shared between calls: do not
            change it in place.

        Raises:
            ValueError: There are not as many levels as strides.
        """
        key = (tuple(level_sizes), torch.device(device))
        return _kept(self._cache, key, lambda: self.make(*key))

    def grid(self, level_sizes: list[tuple[int, int]]) -> PriorGrid:
        """Describe how the priors of these levels lie, for parts that need not look at each of them."""
        return _kept(self._grids, tuple(level_sizes), lambda: self._grid(level_sizes))

    def make(self, level_sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
        """Make the priors (A, 4) of all levels on their device, to which the host sends only their shapes.

        Nothing is kept, and sizes may be those of an export, which are no numbers yet.
        """
        if len(level_sizes) != len(self.strides):
            raise ConfigError(f"priors for {len(self.strides)} levels {self.strides}, but {len(level_sizes)} maps")
        levels = zip(level_sizes, self._steps(level_sizes), self._corners(), strict=True)
        made = []
        for (height, width), step, corners in levels:
            x = (torch.arange(width, device=device) + self.center_offset) * step[0]
            y = (torch.arange(height, device=device) + self.center_offset) * step[1]
            centers = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (H, W, 2)
            around = centers.repeat(1, 1, 2)[:, :, None] + corners.to(device, non_blocking=True)  # (H, W, P, 4)
            made.append(around.reshape(-1, 4))
        return torch.cat(made)

    def _corners(self) -> list[Tensor]:
        """Compute the priors (P, 4) of each level around the point (0, 0)."""
        corners = [torch.cat([-shapes, shapes], dim=1) / 2 for shapes in self.shapes]
        return [corner.round() for corner in corners] if self.rounded else corners

    def _steps(self, level_sizes: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        """Compute the pixels from one cell to the next of each level, x and y."""
        if not self.rounded:
            return [(stride, stride) for stride in self.strides]
        image_height, image_width = (length * self.strides[0] for length in level_sizes[0])
        return [(image_width // width, image_height // height) for height, width in level_sizes]

    def _grid(self, level_sizes: list[tuple[int, int]]) -> PriorGrid:
        steps = np.array(self._steps(level_sizes), dtype=np.float32)  # (L, 2)
        cells = np.array([(width, height) for height, width in level_sizes])  # (L, 2)
        per_cell = np.array([len(shape) for shape in self.shapes])  # (L,)
        ends = (cells.prod(axis=1) * per_cell).cumsum()
        starts = np.concatenate([[0], ends[:-1]]).repeat(per_cell)  # (R,)
        start = starts + np.concatenate([np.arange(count) for count in per_cell])
        priors = self(level_sizes).numpy()
        first = priors[start]  # (R, 4), those of the first cell of each level
        return PriorGrid(
            priors=priors,
            center=(first[:, :2] + first[:, 2:]) / 2,
            size=first[:, 2:] - first[:, :2],
            step=steps.repeat(per_cell, axis=0),
            cells=cells.repeat(per_cell, axis=0),
            start=start,
            stride=per_cell.repeat(per_cell),
        )


def _kept(cache: dict[K, V], key: K, make: Callable[[], V]) -> V:
    """Return what a cache has, or make it; what was not asked for longest goes when the cache is full."""
    value = cache.pop(key) if key in cache else make()
    if len(cache) >= _SIZES_KEPT:
        cache.pop(next(iter(cache)))
    cache[key] = value  # at the end, as the newest
    return value


def _one_or_each(counts: list[int]) -> int | list[int]:
    """Return the number that all levels have, or that of each."""
    return counts[0] if len(set(counts)) == 1 else counts


def _side_of_squares(shapes: list[Tensor], strides: list[int]) -> float | None:
    """Find the side in strides of the one square around each cell; None if there is no such side."""
    sides = {side / stride for shape, stride in zip(shapes, strides, strict=True) for side in shape.flatten().tolist()}
    return sides.pop() if len(sides) == 1 and all(len(shape) == 1 for shape in shapes) else None
