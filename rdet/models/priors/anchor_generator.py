"""Anchor boxes over the levels of a pyramid."""

import torch
from torch import Tensor

from rdet.registry import MODELS


@MODELS.register_module()
class AnchorGenerator:
    """Translation-invariant anchors (Focal Loss paper, section 4, "Anchors").

    A level of stride s has square anchors of side ``octave_base_scale * s * 2**(i / n)`` for
    i < n = ``scales_per_octave``, each reshaped to every ratio at the same area: 32 to 813 pixels
    on P3 to P7 by default, 9 anchors a cell.

    Args:
        strides: Stride of each level in pixels (inferred).
        octave_base_scale: Side of the first anchor in strides.
        scales_per_octave: Sizes at each level.
        ratios: Heights over widths.
        center_offset: Centre of the first anchor in strides from the image's corner.
        rounded: Whole numbers as in torchvision, whose weights were trained so: sides are cut and
            corners rounded, and the step between anchors is the image's size divided by the
            level's, which is less than the stride where the sizes do not divide evenly.

    Attributes:
        num_priors: Anchors at each cell.
    """

    def __init__(
        self,
        strides: list[int],
        octave_base_scale: float = 4,
        scales_per_octave: int = 3,
        ratios: tuple[float, ...] = (0.5, 1.0, 2.0),
        center_offset: float = 0.0,
        rounded: bool = False,
    ):
        self.strides = list(strides)
        self.center_offset = center_offset
        self.num_priors = len(ratios) * scales_per_octave
        self.rounded = rounded
        # (num_priors, 2) of each level, (width, height)
        self._shapes = []
        for stride in strides:
            sides = [octave_base_scale * stride * 2 ** (i / scales_per_octave) for i in range(scales_per_octave)]
            self._shapes.append(_shapes([int(side) for side in sides] if rounded else sides, ratios))
        self._cache: dict[tuple, Tensor] = {}

    def __call__(self, level_sizes: list[tuple[int, int]], device: torch.device | str = "cpu") -> Tensor:
        """Anchors of all levels.

        Args:
            level_sizes: (height, width) of each level, in cells.
            device: Where they shall be.

        Returns:
            (A, 4) float32 xyxy pixels, by level, row, column, ratio, scale. Shared between calls:
            do not change it in place.
        """
        if len(level_sizes) != len(self.strides):
            raise ValueError(f"anchors for {len(self.strides)} levels {self.strides}, but {len(level_sizes)} maps")
        key = (tuple(level_sizes), torch.device(device))
        if key not in self._cache:
            if len(self._cache) >= 64:  # multi-scale training must not grow it without end
                self._cache.pop(next(iter(self._cache)))
            image_size = [length * self.strides[0] for length in level_sizes[0]]
            self._cache[key] = torch.cat(
                [self._level(*level, image_size) for level in zip(level_sizes, self.strides, self._shapes, strict=True)]
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


def _shapes(sides: list[float], ratios: tuple[float, ...]) -> Tensor:
    """(len(ratios) * len(sides), 2) widths and heights, ratios in the outer loop."""
    return torch.tensor([[side / ratio**0.5, side * ratio**0.5] for ratio in ratios for side in sides])
