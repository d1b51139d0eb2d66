"""What is written of detections, each format a class."""

from collections.abc import Sequence
from pathlib import Path

from rdet.apis.infer.writers.base import Writer
from rdet.apis.infer.writers.coco import CocoWriter
from rdet.apis.infer.writers.drawn import CropWriter, PictureWriter, VideoWriter
from rdet.apis.infer.writers.per_image import JsonWriter, VocWriter, YoloWriter
from rdet.apis.infer.writers.table import CsvWriter
from rdet.errors import UnknownNameError
from rdet.messages import nearest

_WRITERS = {
    "coco": CocoWriter,
    "json": JsonWriter,
    "yolo": YoloWriter,
    "voc": VocWriter,
    "csv": CsvWriter,
    "pictures": PictureWriter,
    "video": VideoWriter,
    "crops": CropWriter,
}


def make_writers(formats: Sequence[str], out_dir: Path, classes: Sequence[str]) -> list[Writer]:
    """Make a writer of each format, once.

    Raises:
        UnknownNameError: There is no such format.
    """
    for name in formats:
        if name not in _WRITERS:
            raise UnknownNameError(f"no format {name!r}. {nearest(name, _WRITERS)}")
    return [make(out_dir, classes) for name, make in _WRITERS.items() if name in formats]
