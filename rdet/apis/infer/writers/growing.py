"""A text that grows, and gets its name when it is complete."""

import os
from contextlib import suppress
from pathlib import Path

from rdet.errors import OutputError
from rdet.files import PART, writing


class GrowingText:
    """A text file that has another name while it grows.

    Each piece is handed to the system at once: after a kill, it is in the hidden file beside the final name. A piece is
    there as a whole or not at all, whatever interrupts the writing.

    Args:
        path: The final name; its folder is made.

    Attributes:
        size: Bytes that were written.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self.part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
        self.size = 0
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.part, "wb", buffering=0)  # noqa: SIM115

    def write(self, text: str) -> None:
        """Append."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        before = self.size
        try:
            with writing(self.path):
                while data:
                    data = data[self._file.write(data) :]
            self.size = self._file.tell()
        except BaseException:
            self.cut(before)
            raise

    def cut(self, size: int) -> None:
        """Take back what was written beyond a size in bytes."""
        with suppress(OSError):
            self._file.truncate(size)
            self._file.seek(size)
        self.size = size

    def take_name(self) -> None:
        """Give the file its name; nothing can be written to it then."""
        try:
            with writing(self.path):
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self.part, self.path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.part.unlink(missing_ok=True)


def need_name(path: Path) -> None:
    """Raise unless a file can get a name in the end: what was found until then would be lost.

    Raises:
        OutputError: A folder has that name.
    """
    if os.path.isdir(path):
        raise OutputError(
            f"cannot write {path} (Is a directory); remove the folder of that name, or take another path, "
            "then start again"
        )
