"""Checkpoint files of a run: each is there as a whole or not at all, whenever the run is killed."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from rdet.checkpoint_file import check_whole
from rdet.errors import CheckpointError, RdetError

LAST = "last_checkpoint"
_PART = ".part"
_OF_A_RUN = re.compile(r"(epoch|iter)_\d+\.pth")


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name beside it, then give it its own.

    A crash, a kill or a full disk leaves the file of that name as it was.

    Args:
        path: The file.
        write: Writes it to the path that it is given.

    Raises:
        CheckpointError: It cannot be written, for example since the disk is full; nothing is left of the attempt.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    try:
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _flush_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer turns the system's errors into RuntimeErrors
        part.unlink(missing_ok=True)
        raise CheckpointError(
            f"cannot write {path} ({_reason(error)}); checkpoints that were written before are whole: make room and go "
            "on with --resume"
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


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


def remove_leftovers(folder: str | Path) -> None:
    """Remove what runs that were killed had begun to write in a work dir."""
    for part in Path(folder).glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def newest_whole(folder: str | Path) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint of a run that can be read to its end.

    Args:
        folder: The work dir; it may have been moved since.

    Returns:
        The checkpoint, or None; and for each newer one that is passed over, why.
    """
    folder = Path(folder)
    files = [path for path in folder.glob("*.pth") if _OF_A_RUN.fullmatch(path.name) and path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    named = _named(folder)
    if named is not None and named.is_file():
        files = [named, *(path for path in files if path.name != named.name)]
    passed_over = []
    if named is not None and not named.is_file():
        passed_over.append(f"{named} is not there")
    for path in files:
        try:
            check_whole(path)
        except RdetError as error:
            passed_over.append(str(error))
        else:
            return path, passed_over
    return None, passed_over


def _named(folder: Path) -> Path | None:
    """Read which checkpoint ``last_checkpoint`` names; that of the folder, if it was moved here."""
    try:
        text = (folder / LAST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not text or "\0" in text:
        return None
    here = folder / Path(text).name
    return here if here.is_file() or not Path(text).is_file() else Path(text)
