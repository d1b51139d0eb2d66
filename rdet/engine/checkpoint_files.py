"""Checkpoint files of a run: each is there as a whole or not at all, whenever the run is killed."""

import filecmp
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from rdet.checkpoint_file import check_whole
from rdet.engine.tracked_runs import TRACKED
from rdet.errors import CheckpointError, ConfigError, RdetError
from rdet.files import PART, reason_of, write_whole
from rdet.messages import few

LAST = "last_checkpoint"
BEST = "best.pth"  # the best weights under a name that stays
_OF_A_RUN = re.compile(r"(epoch|iter)_\d+\.pth")
_BEST = re.compile(r"best(_.+_(epoch|iter)_\d+)?\.pth")


def write_checkpoint(path: str | Path, write: Callable[[Path], object]) -> None:
    """Write a checkpoint as a whole or not at all.

    Args:
        path: The file.
        write: Writes it to the path that it is given.

    Raises:
        CheckpointError: It cannot be written, for example since the disk is full; nothing is left of the attempt.
    """
    try:
        write_whole(path, write)
    except (OSError, RuntimeError) as error:  # torch's writer turns the system's errors into RuntimeErrors
        then = "start again"
        if holds_checkpoint(Path(path).parent):
            then = "go on with --resume: checkpoints that were written before are whole"
        raise CheckpointError(f"cannot write {path} ({reason_of(error)}); make room and {then}") from error


def name_best(folder: str | Path, name: str) -> None:
    """Give a checkpoint of a folder the name ``best.pth`` as well, without a second copy where the disk can do that.

    Raises:
        CheckpointError: The folder cannot be written to.
    """
    source, target = Path(folder) / name, Path(folder) / BEST
    if not source.is_file() or (target.is_file() and target.samefile(source)):
        return

    def link(part: Path) -> None:
        try:
            os.link(source, part)
        except OSError:  # a file system without a second name for a file
            shutil.copyfile(source, part)

    write_checkpoint(target, link)


def take_along(source: Path, folder: Path, to_write: bool) -> bool:
    """Copy a checkpoint into the folder of a run that goes on there, and tell whether it is there then.

    Another file of that name stays as it is.

    Args:
        source: The checkpoint.
        folder: The other work dir.
        to_write: Whether this process writes.

    Raises:
        CheckpointError: The folder cannot be written to.
    """
    target = folder / source.name
    if not source.is_file():
        return False
    if target.exists():
        return target.is_file() and filecmp.cmp(source, target, shallow=False)
    if to_write:
        write_checkpoint(target, lambda part: shutil.copyfile(source, part))
    return True


def remove_leftovers(folder: str | Path) -> None:
    """Remove what runs that were killed had begun to write in a work dir."""
    for part in Path(folder).glob(f".*{PART}"):
        part.unlink(missing_ok=True)


def newest_whole(folder: str | Path) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint of a run that can be read to its end.

    That is the one that ``last_checkpoint`` names, unless a kill came before the name of a newer one was in it.

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
        written = (folder / LAST).stat().st_mtime_ns
        others = [path for path in files if path.name != named.name]
        since = [path for path in others if path.stat().st_mtime_ns > written]
        files = [*since, named, *others[len(since) :]]
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


def claim_work_dir(folder: str | Path, overwrite: bool) -> None:
    """See that a run that starts anew mixes with no other in its work dir.

    Args:
        folder: The work dir, which need not be there.
        overwrite: Whether checkpoints of a run that is there are removed.

    Raises:
        ConfigError: A run is there and shall not be overwritten.
    """
    files = sorted(Path(folder).glob("*.pth"))
    found = [path for path in files if _OF_A_RUN.fullmatch(path.name) or _BEST.fullmatch(path.name)]
    if found and not overwrite:
        raise ConfigError(
            f"{folder} holds a run ({few([path.name for path in found], 2)}); go on with --resume, start anew "
            "with --overwrite, which removes its checkpoints, or take another --work-dir"
        )
    for path in [*found, Path(folder) / LAST, Path(folder) / TRACKED]:  # its names elsewhere are of the run before
        path.unlink(missing_ok=True)


def holds_checkpoint(folder: str | Path) -> bool:
    """Tell whether a run has written a checkpoint there with which it can go on, whole or not."""
    return any(_OF_A_RUN.fullmatch(path.name) for path in Path(folder).glob("*.pth"))


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
