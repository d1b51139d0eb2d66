"""Points over the levels of a pyramid."""

import torch

from rdet.models.priors.grid_priors import GridPriors
from rdet.registry import MODELS
from rdet.schema import Count, Fraction


@MODELS.register_module()
class PointGenerator(GridPriors):
    """One point for each cell (FCOS, Tian et al., ICCV 2019, section 3.1), as the square of side = stride around it.

    The square lets parts that know boxes, and not levels, work on points: its centre is the point
    and its side the stride.

    Args:
        strides: Stride of each level in pixels (inferred).
        center_offset: The first point in strides from the image's corner.

    Attributes:
        num_priors: Points of each cell, 1.
    """

    def __init__(self, strides: list[Count], center_offset: Fraction = 0.5):
        squares = [torch.tensor([[float(stride), float(stride)]], device="cpu") for stride in strides]
        super().__init__(strides, squares, center_offset)
