"""How convolutions become int8, and how much that may cost."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rdet.deploy.calibration import Calibration


@dataclass(frozen=True)
class Limit:
    """What a file of int8 may lose.

    Attributes:
        lost: Tells how much a file loses, such as AP from 0 to 1.
        most: That it may.
        say: Is told what the search finds.
    """

    lost: Callable[[Path], float]
    most: float
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Quantization:
    """How convolutions become int8.

    Attributes:
        data: Images that tell the ranges of the maps.
        limit: See :func:`~rdet.deploy.int8.search`; None: all convolutions become int8.
    """

    data: Calibration
    limit: Limit | None = None
