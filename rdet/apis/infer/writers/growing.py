"""A text that grows, and gets its name when it is complete."""

import os
from contextlib import suppress
from pathlib import Path

from rdet.files import PART, writing


class GrowingText:
    """A text file that has another name while it grows.

    Each piece is handed to the system at once: after a kill, it is in the hidden file beside the final name.

    Args:
        path: The final name; its folder is made.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self.part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.part, "w", encoding="utf-8", newline="")  # noqa: SIM115

    def write(self, text: str) -> None:
        """Append."""
        with writing(self.path):
            self._file.write(text)
            self._file.flush()

    def take_name(self) -> None:
        """Give the file its name; nothing can be written to it then."""
        try:
            with writing(self.path):
                self._file.flush()
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
