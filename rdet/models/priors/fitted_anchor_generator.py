"""Anchor boxes of given sizes."""

import torch

from rdet.models.priors.grid_priors import GridPriors
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Positive


@MODELS.register_module()
class FittedAnchorGenerator(GridPriors):
    """Anchors whose sizes are given one by one, for example fitted to a data set by ``tools/fit_anchors.py``.

    Args:
        strides: Stride of each level in pixels (inferred).
        sizes: For each level (width, height) of its anchors in pixels, at least one. Where levels have different
            numbers of them, the head has final layers of its own for each level.
        center_offset: Centre of the first anchor in strides from the image's corner.

    Attributes:
        num_priors: Anchors at each cell; where levels differ, the number of each.
    """

    def __init__(
        self, strides: list[Count], sizes: list[list[tuple[Positive, Positive]]], center_offset: Fraction = 0.0
    ):
        if len(sizes) != len(strides):
            raise ValueError(
                f"anchor_generator.sizes are of {len(sizes)} levels, but there are {len(strides)} "
                f"with strides {list(strides)}; give one list for each level"
            )
        if not all(sizes):
            raise ValueError(
                f"anchor_generator.sizes has {', '.join(str(len(level)) for level in sizes)} anchors on its levels; "
                "give each level at least one"
            )
        for level in sizes:
            for size in level:
                if len(size) != 2 or min(size) <= 0:
                    raise ValueError(f"anchor_generator.sizes has {size!r}; expected a width and a height above 0")
        shapes = [torch.tensor(level, dtype=torch.float32, device="cpu") for level in sizes]
        super().__init__(strides, shapes, center_offset)
