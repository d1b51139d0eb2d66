"""What stands for an image in a record when its pixels are left to the network's device."""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from rdet.errors import PipelineError


@dataclass(frozen=True)
class LeftToDevice:
    """Is ``img`` after ``Resize(on_device=True)``; who asks it for pixels, or for their size, is told so.

    Attributes:
        as_loaded: (h, w, C) uint8.
        to_size: Height and width that the device resizes it to.
        flipped: As of :class:`~rdet.structures.unfinished_image.UnfinishedImage`.
    """

    as_loaded: np.ndarray
    to_size: tuple[int, int]
    flipped: tuple[int, ...] = ()

    def flip(self, axes: tuple[int, ...]) -> "LeftToDevice":
        """Leave a flip, too, in axes 0 (x) and 1 (y)."""
        return replace(self, flipped=tuple(sorted({2 - axis for axis in axes} ^ set(self.flipped))))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks whether it is there
            raise AttributeError(name)
        _refuse()

    def __getitem__(self, place: Any) -> NoReturn:
        _refuse()

    def __len__(self) -> int:
        _refuse()

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        _refuse()


def _refuse() -> NoReturn:
    raise PipelineError(
        "a transform needs the pixels after a Resize with on_device=True, which leaves them to the device; put it "
        "before the Resize, or leave on_device out"
    )
