"""Numbers as json has them."""

import math
from typing import Any

import numpy as np


def as_json(value: Any) -> Any:
    """Return dicts, lists and numbers in place of tuples and arrays, and None in place of what is no finite number."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
