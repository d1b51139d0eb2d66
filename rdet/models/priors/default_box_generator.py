"""SSD's default boxes."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from rdet.models.priors.grid_priors import GridPriors
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Positive


@MODELS.register_module()
class DefaultBoxGenerator(GridPriors):
    """Default boxes of several shapes on each level (SSD, Liu et al., ECCV 2016, section 2.2, "Choosing scales").

    A level of scale s has a square of side s, one of side sqrt(s s'), where s' is the scale of the next level, and for
    each ratio r a box of s sqrt(r) by s / sqrt(r), and the same box lying down.

    Args:
        strides: Stride of each level in pixels (inferred).
        image_size: Side of the network's input in pixels, of which scales are shares.
        scales: Of each level, and one more; none is smaller than that before.
        ratios: For each level, the ratios beside 1.
        center_offset: Centre of the first box in strides from the image's corner.
        clip: Whether no side is longer than the image, as torchvision has it.
        even_cells: Whether the cells of a level share the image evenly, whatever its stride, as torchvision has it in
            SSDLite: three cells of an image of 320 pixels are 106.7 apart, not 128.

    Attributes:
        num_priors: Boxes at each cell; where levels differ, the number of each.
    """

    def __init__(
        self,
        strides: list[Count],
        image_size: Count,
        scales: list[Positive],
        ratios: list[list[Positive]],
        center_offset: Fraction = 0.5,
        clip: bool = False,
        even_cells: bool = False,
    ):
        if not len(strides) == len(scales) - 1 == len(ratios):
            raise ValueError(
                f"anchor_generator has {len(scales)} scales and ratios of {len(ratios)} levels, but there are "
                f"{len(strides)} levels; give one scale more than levels, and ratios for each"
            )
        if list(scales) != sorted(scales):
            raise ValueError(
                f"anchor_generator.scales is {scales}, but levels are from fine to coarse; let them ascend"
            )
        shapes = []
        for (scale, following), of_level in zip(pairwise(scales), ratios, strict=True):
            between = (scale * following) ** 0.5
            sizes = [(scale, scale), (between, between)]
            for ratio in of_level:
                width, height = scale * ratio**0.5, scale / ratio**0.5
                sizes += [(width, height), (height, width)]
            shape = torch.tensor(sizes, device="cpu")  # also while a model is built without data
            shapes.append((shape.clamp(max=1) if clip else shape) * image_size)
        super().__init__(strides, shapes, center_offset)
        self.image_size, self.even_cells = image_size, even_cells

    def _steps(self, level_sizes: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        if not self.even_cells:
            return super()._steps(level_sizes)
        return [(self.image_size / width, self.image_size / height) for height, width in level_sizes]
