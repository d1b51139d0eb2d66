"""What writes detections as they come."""

from abc import ABC, abstractmethod
from pathlib import Path

from rdet.apis.infer.shot import Found
from rdet.files import write_whole, writing


class Writer(ABC):
    """Base of what writes detections: :meth:`add` after each image, :meth:`close` at the end, whatever ended it."""

    #: Whether it draws on the images or cuts them.
    needs_images = False

    @abstractmethod
    def add(self, found: Found) -> None:
        """Write what was found in an image."""

    def fail(self, name: str, reason: str) -> None:
        """Note an image that cannot be used; by default nowhere."""
        return

    def close(self) -> None:
        """Give files that grow their names; after an interruption, they hold what was found before."""
        return


def write_small(path: Path, text: str) -> None:
    """Write one of many small texts as a whole or not at all; none is flushed by itself, which would take long."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"), flush=False)
