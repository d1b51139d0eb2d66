"""What users call: building runs, and inference on images."""

from importlib import import_module
from typing import Any

# Name -> where it is. They are imported when they are asked for: this package is read before a tool's options are.
_HOMES = {
    "DetInferencer": "rdet.apis.det_inferencer",
    "inference_detector": "rdet.apis.inference",
    "inference_detector_sliced": "rdet.apis.infer.slicing",
    "init_detector": "rdet.apis.inference",
}
__all__ = ["DetInferencer", "inference_detector", "inference_detector_sliced", "init_detector"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
