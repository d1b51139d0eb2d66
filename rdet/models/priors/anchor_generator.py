"""Anchor boxes over the levels of a pyramid."""

import torch
from torch import Tensor

from rdet.models.priors.grid_priors import GridPriors
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Positive


@MODELS.register_module()
class AnchorGenerator(GridPriors):
    """Translation-invariant anchors (Focal Loss paper, section 4, "Anchors").

    A level of stride s has square anchors of side ``octave_base_scale * s * 2**(i / n)`` for
    i < n = ``scales_per_octave``, each reshaped to every ratio at the same area: 32 to 813 pixels
    on P3 to P7 by default, 9 anchors a cell, in the order ratio, scale.

    Args:
        strides: Stride of each level in pixels (inferred).
        octave_base_scale: Side of the first anchor in strides.
        scales_per_octave: Sizes at each level.
        ratios: Heights over widths.
        center_offset: Centre of the first anchor in strides from the image's corner.
        rounded: Whether to have whole numbers, as torchvision's weights need: sides are cut and corners
            rounded, and the step between anchors is the image's size divided by the level's, which is
            less than the stride where the sizes do not divide evenly.

    Attributes:
        num_priors: Anchors at each cell.
    """

    def __init__(
        self,
        strides: list[Count],
        octave_base_scale: Positive = 4,
        scales_per_octave: Count = 3,
        ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0),
        center_offset: Fraction = 0.0,
        rounded: bool = False,
    ):
        if scales_per_octave < 1:
            raise ValueError(f"anchor_generator.scales_per_octave is {scales_per_octave}; it must be 1 or more")
        if not ratios:
            raise ValueError("anchor_generator.ratios is empty; give at least one")
        if len(set(ratios)) < len(ratios):
            raise ValueError(f"anchor_generator.ratios is {list(ratios)}; give each once, for anchors that differ")
        shapes = []
        for stride in strides:
            sides = [octave_base_scale * stride * 2 ** (i / scales_per_octave) for i in range(scales_per_octave)]
            shapes.append(_shapes([int(side) for side in sides] if rounded else sides, ratios))
        super().__init__(strides, shapes, center_offset, rounded)


def _shapes(sides: list[float], ratios: tuple[float, ...]) -> Tensor:
    """Compute widths and heights (len(ratios) * len(sides), 2), ratios in the outer loop."""
    sizes = [[side / ratio**0.5, side * ratio**0.5] for ratio in ratios for side in sides]
    return torch.tensor(sizes, device="cpu")  # also while a model is built without data
