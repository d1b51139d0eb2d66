"""Exported files, opened behind the calls of a detector."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from rdet.deploy.exported_detector import ExportedDetector
from rdet.deploy.metadata import KEY, Metadata, metadata_of
from rdet.deploy.runtimes import OnnxFile, OpenVinoFile, ProgramFile, RunnableFile
from rdet.deploy.said import content_of, said_in, suffix_of
from rdet.errors import CheckpointError
from rdet.files import sha256_of

_KINDS: dict[str, Callable[[str, str], RunnableFile]] = {
    ".onnx": OnnxFile,
    ".xml": OpenVinoFile,
    ".pt2": ProgramFile,
}
EXPORTED_SUFFIXES = tuple(_KINDS)


def is_exported(source: object) -> bool:
    """Tell whether a path is of a file that ``rdet export`` wrote; an ONNX file may be another project's checkpoint."""
    if not isinstance(source, str | os.PathLike) or suffix_of(source) not in _KINDS:
        return False
    return suffix_of(source) != ".onnx" or KEY.encode() in content_of(Path(source))


def load_exported(path: str | Path, device: str | None = None) -> ExportedDetector:
    """Open an exported file as a detector that :func:`~rdet.apis.inference.inference_detector` takes.

    Nothing is executed from what the file says of itself; the network is run by its runtime.

    Args:
        path: Of ONNX (``.onnx``), OpenVINO (``.xml``, with its ``.bin``) or an exported program (``.pt2``).
        device: ``'cpu'`` or ``'cuda:0'``; None: a GPU if there is one, and the file's runtime can use it.

    Raises:
        CheckpointError: It is no such file, damaged, or of another version.
        ConfigError: The runtime has no such device.
        MissingFileError: There is no such file.
        MissingModuleError: The runtime is not installed.
    """
    text = str(path)
    kind = _KINDS.get(suffix_of(path))
    if kind is None:
        raise CheckpointError(f"{path} ends in none of {', '.join(_KINDS)}; give what 'rdet export' wrote")
    content_of(Path(path), 1)
    metadata = metadata_of(said_in(text), text)
    _check_weights(Path(path).with_suffix(".bin"), metadata, text)
    if device is None:
        device = kind.best_device()  # type: ignore[attr-defined]
    return ExportedDetector(kind(text, device), metadata, text)


def _check_weights(weights: Path, metadata: Metadata, path: str) -> None:
    """Raise unless the file of the weights, if it is there, is the one that belongs to a file of OpenVINO."""
    if metadata.weights_sha256 is None or not weights.is_file():
        return
    if sha256_of(weights) != metadata.weights_sha256:
        raise CheckpointError(f"{weights} is damaged, or of another model than {path}; export it again")


def device_for(checkpoint: object) -> str:
    """Return where a detector runs if nobody says it: on a GPU, if there is one and what runs the file can use it."""
    if is_exported(checkpoint):
        kind = _KINDS[suffix_of(checkpoint)]
        return kind.best_device()  # type: ignore[attr-defined,no-any-return]
    from mmengine.device import get_device

    return "cpu" if not torch.cuda.is_available() else str(get_device())
