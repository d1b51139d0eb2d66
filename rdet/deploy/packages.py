"""Packages that only exports need."""

import importlib
import sys
from types import ModuleType

from rdet.errors import MissingModuleError

_OF_INT8 = {
    "onnx": ("onnxruntime.quantization", "an export in int8 to ONNX"),
    "openvino": ("nncf", "an export in int8 to OpenVINO"),
}


def needed(name: str, what: str) -> ModuleType:
    """Import a package of the extra ``deploy``.

    Args:
        name: Of the module.
        what: What needs it, for the message.

    Raises:
        MissingModuleError: It is not installed, or cannot be loaded here.
    """
    # OpenVINO and NNCF would send figures of their use to Intel; without this package of theirs they do not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a library that it is made of
        package = name.partition(".")[0]
        raise MissingModuleError(f"{what} needs the package {package} ({error}); pip install 'rdet[deploy]'") from error


def check_packages(kind: str, dtype: str) -> None:
    """Import all that writes files of a format, before the work.

    Raises:
        MissingModuleError: One is missing.
    """
    if kind in ("onnx", "openvino", "tensorrt-ready"):
        for name in ("onnx", "onnxscript"):
            needed(name, "an export to ONNX")
    if kind == "openvino":
        needed("openvino", "an export to OpenVINO")
    if dtype == "int8":
        needed(*_OF_INT8[kind])
