"""What pictures say of a box."""

from collections.abc import Sequence

import numpy as np

_SHORT = 6  # letters


def short_name(name: str) -> str:
    """Return a name of few letters: the first letters of several words, else the first ones."""
    if len(name) <= _SHORT:
        return name
    words = name.replace("_", " ").replace("-", " ").split()
    if len(words) > 1 and words[-1].isdigit():  # that tells it from others
        return "".join(word[0] for word in words[:-1][:_SHORT]) + words[-1]
    return "".join(word[0] for word in words[:_SHORT]) + "." if len(words) > 2 else f"{name[: _SHORT - 2]}…"


def boxes_of(boxes: Sequence | np.ndarray | None) -> np.ndarray:
    """Return boxes (n, 4) xyxy as an array; None is none."""
    return np.asarray([] if boxes is None else boxes, dtype=np.float64).reshape(-1, 4)
