"""Pictures in memory, as OpenCV has them."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from rdet.errors import ConfigError

_DEEP = "IF"  # how modes of more than 8 bits begin: I, I;16, F

Picture: TypeAlias = str | Path | np.ndarray | Tensor | Image.Image


def is_picture(value: object) -> bool:
    """Tell whether a value is one picture, and no sequence of them."""
    return isinstance(value, str | Path | np.ndarray | Tensor | Image.Image)


def record_of(image: Picture, index: int) -> dict:
    """Return the record of one image that a pipeline begins with; ``index`` names it in messages."""
    record: dict = {"img_id": index}
    if isinstance(image, str | Path):
        return record | {"img_path": str(image)}
    return record | {"img": as_bgr(image, index)}


def as_bgr(image: np.ndarray | Tensor | Image.Image, index: int) -> np.ndarray:
    """Return an image in memory as OpenCV has it.

    Raises:
        ConfigError: It is of another shape or type.
    """
    if isinstance(image, Image.Image):
        if image.mode[0] in _DEEP or 0 in image.size:
            size = f"{image.width}x{image.height}"
            raise ConfigError(
                f"image {index} is a picture of Pillow of {size} pixels in mode {image.mode}; give one of 8 bits a "
                "channel that is not empty: larger values would be cut"
            )
        return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1])
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.dim() != 3 or len(image) != 3 or not image.numel():
            raise ConfigError(
                f"image {index} is a tensor {tuple(image.shape)} of {image.dtype}; give RGB (3, H, W) of torch.uint8"
            )
        return np.ascontiguousarray(image.detach().cpu().numpy().transpose(1, 2, 0)[:, :, ::-1])
    if not isinstance(image, np.ndarray):
        raise ConfigError(
            f"image {index} is of type {type(image).__name__}; give a path, an array, a tensor or a picture of Pillow"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise ConfigError(f"image {index} is an array {image.shape} of {image.dtype}; give BGR (H, W, 3) of uint8")
    return image
