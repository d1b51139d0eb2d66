"""Which file names the classes of a YOLO data set: ``data.yaml``, ``obj.names`` or ``classes.txt``."""

from pathlib import Path

from rdet.datasets.values import text_of
from rdet.datasets.yolo_yaml import class_names, read_data_yaml
from rdet.errors import DatasetError
from rdet.messages import few


def read_class_names(data: bytes, path: str) -> list[str]:
    """Read the names in the order of their numbers, from YAML or a list with one a line."""
    return read_data_yaml(data, path).names if path.endswith((".yaml", ".yml")) else names_in_file(data, path)


def names_in_file(data: bytes, where: str) -> list[str]:
    """Read a list of class names (``obj.names``, ``classes.txt``), one a line in the order of their numbers."""
    text = text_of(data)
    if text is None:
        raise DatasetError(f"{where} is no text in UTF-8; write the names of the classes, one a line")
    return class_names([line.strip() for line in text.strip().splitlines()], where)


def find_names_file(folders: list[Path]) -> Path | None:
    """Return the file that names the classes, of the first folder that has one.

    Raises:
        DatasetError: A folder has several of a kind.
    """
    for folder in folders:
        for patterns in (("*.yaml", "*.yml"), ("*.names",), ("classes.txt",)):
            found = sorted(path for pattern in patterns for path in folder.glob(pattern) if _has_names(path))
            if len(found) > 1:
                raise DatasetError(f"{folder} has {few(p.name for p in found)}; set class_file to one of them")
            if found:
                return found[0]
    return None


def not_names(folders: list[Path]) -> str:
    """Say what a file is that should name the classes, in brackets after a space; nothing where there is none."""
    for path in (path for folder in folders for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])):
        kind = "a folder" if path.is_dir() else "no file" if not path.is_file() else "without 'names'"
        return f" ({path} is {kind})"
    return ""


def _has_names(path: Path) -> bool:
    """Tell whether a file is there, and, of a YAML file of any kind, whether it is YOLO's."""
    try:
        return path.is_file() and (path.suffix not in (".yaml", ".yml") or b"names" in path.read_bytes())
    except OSError:
        return False
