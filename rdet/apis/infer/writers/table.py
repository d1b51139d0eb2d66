"""One csv of all detections."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rdet.apis.infer.shot import Found
from rdet.apis.infer.writers.base import Writer
from rdet.apis.infer.writers.growing import GrowingText, need_name
from rdet.messages import printable

_COLUMNS = ("image", "frame", "width", "height", "class", "label", "score", "x1", "y1", "x2", "y2")


class CsvWriter(Writer):
    """Writes ``detections.csv``: a row for each detection, and one without a class for an image without any.

    Args:
        out_dir: Where it goes.
        classes: Names, by label.

    Raises:
        OutputError: A folder has the name of the file.
    """

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._path = out_dir / "detections.csv"
        need_name(self._path)
        self._classes = [printable(name) for name in classes]
        self._file: GrowingText | None = None

    def add(self, found: Found) -> None:
        """Append the rows of an image."""
        lines = io.StringIO()
        table = csv.writer(lines, lineterminator="\n")
        if self._file is None:
            self._file = GrowingText(self._path)
            table.writerow(_COLUMNS)
        frame = "" if found.shot.frame is None else found.shot.frame.index
        image = (printable(found.shot.name), frame, found.width, found.height)
        for label, score, *corners in found.rows():
            numbers = (f"{score:.6f}", *(f"{value:.2f}" for value in corners))
            table.writerow((*image, self._classes[label], label, *numbers))
        if not len(found.labels):
            table.writerow((*image, *[""] * 7))
        self._file.write(lines.getvalue())

    def close(self) -> None:
        """Give the table its name."""
        if self._file is not None:
            self._file.take_name()
