"""Reading files whose names come from outside."""

import os
import stat
from typing import BinaryIO

from rdet.errors import IrregularFileError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read bytes.

    A pipe would be waited for, and a device may never end: neither is opened.

    Raises:
        IrregularFileError: It is something else than a file, or no file can have that name.
        OSError: The system refuses it.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a zero byte, or half of a character
        raise IrregularFileError("no file can have that name") from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise IrregularFileError(f"it is {kind}")
    return open(path, "rb")


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file; for the errors see :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def why_unreadable(error: OSError) -> str:
    """Say in a few words why a file cannot be read."""
    return error.strerror or str(error)
