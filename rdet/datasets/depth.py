"""Images of more than 8 bits a channel, made 8 bits by a rule that is said."""

from typing import Literal, TypeAlias

import numpy as np

# The values that become 0 and 255; 'image': the lowest and the highest of each image.
ValueRange: TypeAlias = tuple[float, float] | Literal["image"] | None


def as_8_bits(image: np.ndarray, value_range: ValueRange) -> np.ndarray | None:
    """Scale an image linearly; None if it is deeper than 8 bits and there is no rule.

    Args:
        image: Of any depth; one of 8 bits stays as it is.
        value_range: What becomes 0 and 255. Values outside are cut to it, those between rounded.
    """
    if image.dtype == np.uint8:
        return image
    if value_range is None:
        return None
    low, high = _values(image) if value_range == "image" else value_range
    finite = np.nan_to_num(image.astype(np.float32), nan=low, posinf=high, neginf=low)
    return np.clip((finite - low) * (255 / max(high - low, 1e-9)) + 0.5, 0, 255.5).astype(np.uint8)


def _values(image: np.ndarray) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def describe(image: np.ndarray) -> str:
    """Say how deep an image is, and which values it has."""
    low, high = _values(image)
    kind = "bits" if image.dtype.kind in "ui" else "bits of a floating-point number"
    return f"{8 * image.dtype.itemsize} {kind} a channel, with values from {low:g} to {high:g}"
