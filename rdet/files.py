"""Files: read only if they are files, written as a whole or not at all, and named by each error."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import BinaryIO

import torch

from rdet.errors import IrregularFileError, OutputError, RdetError, remedy_of

PART = ".part"
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


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, as hexadecimal digits; for the errors see :func:`open_regular`."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def why_unreadable(error: OSError) -> str:
    """Say in a few words why a file cannot be read."""
    return error.strerror or str(error)


@contextmanager
def writing(path: str | Path, then: str = "then start again") -> Iterator[None]:
    """Have an error of the body name the file: the system names none when a write fails.

    Args:
        path: What is written.
        then: What to do once the cause is removed.

    Raises:
        OutputError: It cannot be written, for example since the disk is full.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, RdetError):
            raise
        raise OutputError(f"cannot write {path} ({reason_of(error)}); {remedy_of(error)}, {then}") from error


def write_whole(
    path: str | Path, write: Callable[[Path], object], then: str = "then start again", flush: bool = True
) -> None:
    """Write a file under another name beside it, then give it its own.

    A crash, a kill or a full disk leaves the file of that name as it was.

    Args:
        path: The file; of a link, what it points to.
        write: Writes it to the path that it is given.
        then: What to do once the cause of an error is removed.
        flush: Whether it is on the disk before the name is, so that a power cut leaves one of the two as well.

    Raises:
        OutputError: It cannot be written; nothing is left of the attempt.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe, a terminal
        with writing(path, then):
            write(target)
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.{get_ident()}{PART}")
    try:
        with writing(path, then):
            write(part)
            if flush:
                with open(part, "rb+") as file:
                    os.fsync(file.fileno())
            os.replace(part, target)
            if flush:
                _flush_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str, then: str = "then start again") -> None:
    """Write a text as a whole or not at all; its folder is made."""
    with writing(path, then):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"), then)


def write_tensors(path: str | Path, content: object, then: str = "then start again") -> None:
    """Write what :func:`torch.save` writes, as a whole or not at all."""

    def write(part: Path) -> None:
        with open(part, "wb") as file:  # of a full disk, torch's own writer says where it was in its source
            torch.save(content, file)

    write_whole(path, write, then)


def reason_of(error: BaseException) -> str:
    """Return the system's words for an error, or for that which led to it; else its own first line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def flush(path: Path) -> None:
    """Have what was written to a file survive a power cut."""
    with writing(path), open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Have the new name of a file survive a power cut too."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a system that opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:  # a file system that cannot
        pass
    finally:
        os.close(descriptor)
