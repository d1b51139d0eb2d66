"""What exported files say of themselves, read without their runtimes."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from rdet.deploy.metadata import KEY
from rdet.errors import CheckpointError, MissingFileError
from rdet.files import open_regular, why_unreadable


def suffix_of(path: object) -> str:
    """Return how a name ends, in lower case."""
    return Path(str(path)).suffix.lower()


def said_in(path: str) -> str | None:
    """Return what a file says of itself, without its runtime; None: nothing.

    Raises:
        CheckpointError: It is damaged, or not of the format that its name ends in.
        MissingFileError: There is none.
    """
    if suffix_of(path) == ".pt2":
        try:
            with zipfile.ZipFile(path) as archive:
                if any(name.partition("/")[2].startswith("code/") for name in archive.namelist()):
                    raise CheckpointError(
                        f"{path} is TorchScript by another name, which is code and not run; export in another format"
                    )
                names = [name for name in archive.namelist() if name.endswith(f"extra/{KEY}")]
                return archive.read(names[0]).decode("utf-8") if names else None
        except (zipfile.BadZipFile, UnicodeDecodeError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise CheckpointError(f"{path} is damaged, or no exported program ({error}); export it again") from error
    if suffix_of(path) == ".xml":
        import xml.etree.ElementTree as ElementTree

        content = content_of(Path(path))
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # of which a few lines can become gigabytes
            raise CheckpointError(f"{path} is no model of OpenVINO; give what 'rdet export' wrote")
        try:
            found = ElementTree.fromstring(content).find(f"./rt_info/{_tag()}")
        except ElementTree.ParseError as error:
            raise CheckpointError(f"{path} is damaged, or no model of OpenVINO ({error}); export it again") from error
        return None if found is None else found.get("value")
    return onnx_metadata(content_of(Path(path)), path)


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


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
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


def content_of(path: Path, size: int = -1) -> bytes:
    """Read a file, or its first ``size`` bytes.

    Raises:
        CheckpointError: It cannot be read.
        MissingFileError: There is none.
    """
    if not path.exists():
        raise MissingFileError(f"no file at {path}; give the path of what 'rdet export' wrote")
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({why_unreadable(error)}); export it again") from error
