"""An image whose pixels the network's device still has to resize and flip."""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.errors import PipelineError


class UnfinishedImageError(PipelineError, AttributeError):
    """An image that is not finished is taken for a tensor."""

    def __init__(self) -> None:
        super().__init__(
            "an image whose resizing is left to the device (on_device=True in the pipeline) is taken for a tensor; let "
            "DetDataPreprocessor make the batch, call rdet.structures.unfinished_image.finished, or leave on_device out"
        )


@dataclass(frozen=True)
class UnfinishedImage:
    """An image as it was loaded, and what is to be done with it; a tensor in ``inputs`` is done with.

    It is no tensor: code that does not know it is told so, instead of taking an image of another size.

    Attributes:
        pixels: (C, h, w) uint8.
        size: Height H and width W to resize it to, by bilinear interpolation as of OpenCV's ``INTER_LINEAR``.
        flipped: The axes in which it is then mirrored: 1, from top to bottom; 2, from left to right.
    """

    pixels: Tensor
    size: tuple[int, int]
    flipped: tuple[int, ...] = ()

    @property
    def shape(self) -> torch.Size:
        """(C, H, W) of the image when it is done."""
        return torch.Size((self.pixels.shape[0], *self.size))

    def pin_memory(self) -> "UnfinishedImage":
        """Have it in memory that a GPU reads while both work; a loader with ``pin_memory`` asks."""
        return replace(self, pixels=self.pixels.pin_memory())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "UnfinishedImage":
        """Have its pixels on a device."""
        return replace(self, pixels=self.pixels.to(device, non_blocking=non_blocking))

    def finish(self, values: Tensor) -> Tensor:
        """Resize and flip what was computed of each pixel, (C, h, w) float, where it is: (C, H, W)."""
        values = values.flip(self.flipped) if self.flipped else values  # before: it is smaller as a rule
        return F.interpolate(values[None], size=self.size, mode="bilinear", align_corners=False)[0]

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name) if name.startswith("_") else UnfinishedImageError()

    @classmethod
    def __torch_function__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnfinishedImageError


Image = Tensor | UnfinishedImage


def finished(image: Image) -> Tensor:
    """Return an image (C, H, W) uint8 as the network gets it, for who looks at it or runs it elsewhere."""
    if not isinstance(image, UnfinishedImage):
        return image
    return image.finish(image.pixels.float()).round().to(torch.uint8)
