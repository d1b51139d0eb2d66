"""A detector of another project, as rdet's."""

from typing import NamedTuple

from mmengine.config import Config
from torch import Tensor


class Converted(NamedTuple):
    """What the converter of a project makes of its checkpoint.

    Attributes:
        weights: Under rdet's names.
        cfg: The config that gives the source's outputs.
        classes: Their names; None if nobody says them.
        num_classes: How many there are.
        description: What it is, in a few words.
    """

    weights: dict[str, Tensor]
    cfg: Config
    classes: tuple[str, ...] | None
    num_classes: int
    description: str
