"""From a trained detector to a file that runs without rdet, and back behind rdet's calls."""

from importlib import import_module
from typing import Any

# Name -> where it is. They are imported when they are asked for: this package is read before a tool's options are.
_HOMES = {
    "export_detector": "rdet.deploy.export",
    "load_exported": "rdet.deploy.loading",
    "ExportedDetector": "rdet.deploy.exported_detector",
    "TensorDetector": "rdet.deploy.tensor_detector",
}
__all__ = ["ExportedDetector", "TensorDetector", "export_detector", "load_exported"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
