"""The same boxes around every cell of a pyramid."""

import torch
from torch import Tensor


class GridPriors:
    """Base of generators whose priors are boxes around the cells of each level.

    Args:
        strides: Stride of each level in pixels.
        shapes: (P, 2) of each level, widths and heights of the priors around one cell.
        center_offset: Centre of the first cell in strides from the image's corner.
        rounded: Corners are rounded, and the step between cells is the image's size divided by the
            level's, cut to a whole number.

    Attributes:
        strides, shapes: As given.
        num_priors: P.
        prior_scale: Side of the prior in strides where each cell has one square, the same at every
            level; else None.
    """

    def __init__(self, strides: list[int], shapes: list[Tensor], center_offset: float, rounded: bool = False):
        self.strides = list(strides)
        self.shapes = shapes
        self.center_offset = center_offset
        self.rounded = rounded
        self.num_priors = len(shapes[0])
        self.prior_scale = _side_of_squares(shapes, self.strides)
        self._cache: dict[tuple, Tensor] = {}

    def __call__(self, level_sizes: list[tuple[int, int]], device: torch.device | str = "cpu") -> Tensor:
        """Priors of all levels.

        Args:
            level_sizes: (height, width) of each level, in cells.
            device: Where they shall be.

        Returns:
            (A, 4) float32 xyxy pixels, by level, row, column, shape. Shared between calls: do not
            change it in place.
        """
        if len(level_sizes) != len(self.strides):
            raise ValueError(f"priors for {len(self.strides)} levels {self.strides}, but {len(level_sizes)} maps")
        key = (tuple(level_sizes), torch.device(device))
        if key not in self._cache:
            if len(self._cache) >= 64:  # multi-scale training must not grow it without end
                self._cache.pop(next(iter(self._cache)))
            image_size = [length * self.strides[0] for length in level_sizes[0]]
            self._cache[key] = torch.cat(
                [self._level(*level, image_size) for level in zip(level_sizes, self.strides, self.shapes, strict=True)]
            ).to(device)
        return self._cache[key]

    def _level(self, size: tuple[int, int], stride: int, shapes: Tensor, image_size: list[int]) -> Tensor:
        height, width = size
        steps = (image_size[0] // height, image_size[1] // width) if self.rounded else (stride, stride)
        y = (torch.arange(height) + self.center_offset) * steps[0]
        x = (torch.arange(width) + self.center_offset) * steps[1]
        centers = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (H, W, 2)
        corners = torch.cat([-shapes, shapes], dim=1) / 2  # (P, 4)
        if self.rounded:
            corners = corners.round()
        return (centers.repeat(1, 1, 2)[:, :, None] + corners).reshape(-1, 4)  # (H, W, P, 4) -> (HWP, 4)


def _side_of_squares(shapes: list[Tensor], strides: list[int]) -> float | None:
    """Side in strides of the one square around each cell; None if there is no such side."""
    sides = {side / stride for shape, stride in zip(shapes, strides, strict=True) for side in shape.flatten().tolist()}
    return sides.pop() if len(sides) == 1 and len(shapes[0]) == 1 else None
