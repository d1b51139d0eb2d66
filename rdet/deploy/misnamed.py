"""Exported files that are taken for something else by their names."""

import zipfile
from pathlib import Path

from rdet.deploy.metadata import KEY
from rdet.deploy.said import onnx_metadata
from rdet.errors import CheckpointError
from rdet.files import read_regular

_LARGEST = 2**30  # bytes that are looked through


def why_no_checkpoint(path: str | Path) -> str | None:
    """Say what a file is that cannot be read as a checkpoint, if 'rdet export' wrote it; else None."""
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [name.partition("/")[2] for name in archive.namelist()]
            if f"extra/{KEY}" not in names:
                return None
            if any(name.startswith("code/") for name in names):
                return f"{path} is TorchScript, which rdet writes and does not run; export in another format"
            return _called(path, ".pt2", "an exported program")
        content = read_regular(path) if path.stat().st_size <= _LARGEST else b""
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):  # names of parts that are no text
        return None
    if content.lstrip()[:5] == b"<?xml" and b"rdet_export" in content:
        return _called(path, ".xml", "a model of OpenVINO")
    try:
        return None if onnx_metadata(content, str(path)) is None else _called(path, ".onnx", "an ONNX file")
    except CheckpointError:
        return None


def _called(path: Path, suffix: str, what: str) -> str:
    if path.suffix.lower() == suffix:
        return f"{path} is {what} of 'rdet export', which is as it is; give the checkpoint that it was made of"
    return f"{path} is {what} of 'rdet export', whose name has to end in {suffix}; rename it"
