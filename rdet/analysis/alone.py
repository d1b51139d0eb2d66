"""One program at a time in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rdet.errors import ComparisonError


@contextmanager
def alone(folder: Path, program: str) -> Iterator[int]:
    """Keep other processes out of a folder, which is made.

    Args:
        folder: Where the lock lies.
        program: What it is that may not run twice, for the message.

    Yields:
        The lock's file descriptor: a process that inherits it keeps the lock as long as it lives.

    Raises:
        ComparisonError: Another process is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ComparisonError(
                f"another {program!r} is at work in {folder}; wait until it ends, or take another folder"
            ) from None
        yield lock.fileno()
