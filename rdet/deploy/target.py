"""Where an exported file goes, and what is there already."""

import shutil
import tempfile
from pathlib import Path

from rdet.deploy.formats import SUFFIXES
from rdet.errors import ConfigError

# Endings of models of other kinds, which a file of ``rdet export`` would seem to be.
_OTHERS = (".pt", ".pth", ".ckpt", ".bin", ".engine", ".plan", ".tflite", ".pb", ".mlpackage", ".safetensors")


def target_of(out: Path, kind: str, source: str) -> Path:
    """Add a format's ending to a path where it is missing, and look at what would be written over.

    Args:
        out: As it was asked for.
        kind: The format.
        source: The checkpoint.

    Raises:
        ConfigError: It ends as another format or another kind of model does; or the checkpoint, a folder or a file of
            another kind is there.
    """
    suffix = SUFFIXES[kind]
    if out.name.lower().endswith((*SUFFIXES.values(), *_OTHERS)) and not out.name.endswith(suffix):
        raise ConfigError(f"{out} does not end in {suffix}, as files of {kind} do; give another --out or format")
    out = out if out.name.endswith(suffix) else out.with_name(out.name + suffix)
    weights = out.with_suffix(".bin")
    for path in (out, weights) if kind == "openvino" else (out,):
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; remove it, or give another --out")
        if path.exists() and Path(source).is_file() and path.samefile(source):
            raise ConfigError(f"{path} is the checkpoint, which would be written over; give another --out")
    if kind == "openvino" and weights.exists() and not out.exists():
        raise ConfigError(
            f"{weights}, where the weights go, is there without {out.name}, so that it may be of another kind; remove "
            "it, or give another --out"
        )
    return out


class folder_beside:
    """A folder beside a file, for its parts until they have their names."""

    def __init__(self, out: Path):
        self._out = out

    def __enter__(self) -> Path:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._out.name}.", suffix=".part", dir=self._out.parent))
        return self._folder

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
