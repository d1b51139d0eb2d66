"""Exported files, opened behind the calls of a detector."""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from rdet.deploy.exported_detector import ExportedDetector
from rdet.deploy.metadata import KEY, Metadata, metadata_of
from rdet.deploy.runtimes import OnnxFile, OpenVinoFile, ProgramFile, RunnableFile
from rdet.errors import CheckpointError, MissingFileError
from rdet.files import open_regular, sha256_of, why_unreadable

_KINDS: dict[str, Callable[[str, str], RunnableFile]] = {
    ".onnx": OnnxFile,
    ".xml": OpenVinoFile,
    ".pt2": ProgramFile,
}
EXPORTED_SUFFIXES = tuple(_KINDS)


def is_exported(source: object) -> bool:
    """Tell whether a path is of a file that ``rdet export`` wrote; an ONNX file may be another project's checkpoint."""
    if not isinstance(source, str | os.PathLike) or _suffix(source) not in _KINDS:
        return False
    return _suffix(source) != ".onnx" or KEY.encode() in _content(Path(source))


def _suffix(path: object) -> str:
    return Path(str(path)).suffix.lower()


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
    kind = _KINDS.get(_suffix(path))
    if kind is None:
        raise CheckpointError(f"{path} ends in none of {', '.join(_KINDS)}; give what 'rdet export' wrote")
    _content(Path(path), 1)
    metadata = metadata_of(_said(text), text)
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


def _said(path: str) -> str | None:
    """Return what a file says of itself, without its runtime."""
    if _suffix(path) == ".pt2":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(f"extra/{KEY}")]
                return archive.read(names[0]).decode("utf-8") if names else None
        except (zipfile.BadZipFile, UnicodeDecodeError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise CheckpointError(f"{path} is damaged, or no exported program ({error}); export it again") from error
    if _suffix(path) == ".xml":
        import xml.etree.ElementTree as ElementTree

        content = _content(Path(path))
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # of which a few lines can become gigabytes
            raise CheckpointError(f"{path} is no model of OpenVINO; give what 'rdet export' wrote")
        try:
            found = ElementTree.fromstring(content).find(f"./rt_info/{_tag()}")
        except ElementTree.ParseError as error:
            raise CheckpointError(f"{path} is damaged, or no model of OpenVINO ({error}); export it again") from error
        return None if found is None else found.get("value")
    return onnx_metadata(_content(Path(path)), path)


def onnx_metadata(content: bytes, path: str) -> str | None:
    """Find what an ONNX file says of itself: a field of its outermost message, which is read without its graph.

    Raises:
        CheckpointError: The file is cut off, or not of ONNX.
    """
    try:
        for number, value in _fields(memoryview(content)):
            if number == 14 and value is not None:  # ModelProto.metadata_props
                entry = {key: bytes(part).decode("utf-8") for key, part in _fields(value) if part is not None}
                if entry.get(1) == KEY:
                    return entry.get(2)
    except (CheckpointError, IndexError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is cut off, or no ONNX file; export it again") from error
    return None


def _fields(message: memoryview):
    """Yield number and content of each field of a message in the format of protocol buffers; None for numbers."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise CheckpointError("a number is too long")

    while place < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            varint()
            yield tag >> 3, None
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
            yield tag >> 3, None
        elif kind == 2:
            length = varint()
            if place + length > len(message):
                raise CheckpointError("the file ends within a field")
            yield tag >> 3, message[place : place + length]
            place += length
        else:
            raise CheckpointError("no such kind of field")


def _tag() -> str:
    return re.sub(r"\W", "_", KEY)


def _content(path: Path, size: int = -1) -> bytes:
    if not path.exists():
        raise MissingFileError(f"no file at {path}; give the path of what 'rdet export' wrote")
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({why_unreadable(error)}); export it again") from error


def device_for(checkpoint: object) -> str:
    """Return where a detector runs if nobody says it: on a GPU, if there is one and what runs the file can use it."""
    if is_exported(checkpoint):
        kind = _KINDS[_suffix(checkpoint)]
        return kind.best_device()  # type: ignore[attr-defined,no-any-return]
    from mmengine.device import get_device

    return "cpu" if not torch.cuda.is_available() else str(get_device())
