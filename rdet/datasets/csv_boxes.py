"""Annotations in one csv table, a row for each box."""

import logging
import os

import numpy as np
from mmengine.logging import print_log

from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.datasets.classes import in_order
from rdet.datasets.csv_columns import NEEDED, is_size, known_columns, taken
from rdet.datasets.csv_table import header_of, read_rows
from rdet.datasets.stated_sizes import NoSizeError, StatedSizes, size_or_error
from rdet.datasets.values import number
from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.messages import shown
from rdet.registry import DATASETS

_BOX = ("class", "xmin", "ymin", "xmax", "ymax")


@DATASETS.register_module()
class CsvDataset(DetDataset):
    """Images with boxes in a csv file: ``filename,width,height,class,xmin,ymin,xmax,ymax``.

    The first line names the columns, which may be in any order and among others; the separator is a comma, a semicolon
    or a tab. Tools' other names for them are told and said (``image,label,x1,y1,x2,y2``; ``x,y,w,h`` for the upper left
    corner and the size of the box), and the size of the image may be left out. ``filename`` is relative to
    ``data_prefix['img']``. A row whose last five values are empty is an image
    without a box. A size that is empty or 0 is read from the image. ``img_id`` is the place of the image's first row
    among the images, counted from 1.

    The file does not list its classes: they are the names in it, sorted. Where splits differ in them, set
    ``metainfo=dict(classes=...)`` on all, which may name more than a file has.

    For the other arguments see :class:`DetDataset`.

    Args:
        one_based: The boxes are pixels counted from 1, the last one included, as in Pascal VOC: 1 is taken from xmin
            and ymin.
    """

    def __init__(self, ann_file: str, *, one_based: bool = False, **kwargs):
        self.one_based = one_based
        self._sizes = StatedSizes()
        super().__init__(ann_file, **kwargs)

    def read_annotations(self) -> Annotations:
        """Read the table; images are in the order of their first rows."""
        images: dict[str, dict] = {}
        names, bboxes, image_index, lines = [], [], [], []
        faults = Faults(self.ann_file, "rows")
        data = self._ann_file_bytes()
        self._say_other_names(data)
        for line, row in read_rows(data, self.ann_file, faults):
            where = f"line {line} of {self.ann_file}"
            with faults.of(f"line {line}"):
                image = self._image(row, images, where)
                if not any(row[key] for key in _BOX):
                    continue
                if not row["class"]:
                    raise DatasetError(f"{where} has no class; name it, or empty the box too")
                names.append(row["class"])
                bboxes.append(self._bbox(row, where))
                image_index.append(image["id"] - 1)
                lines.append(line)
        faults.raise_any()
        if not self._fully_initialized:
            self._sizes.warn(self.ann_file)
        if not images:
            raise DatasetError(f"{self.ann_file} has no row; write one for each box")
        classes = in_order(set(names), self.rename_classes)
        index_of = {name: i for i, name in enumerate(classes)}
        boxes = np.array(bboxes, dtype=np.float64).reshape(-1, 4)
        return Annotations(
            classes=classes,
            category_ids=None,
            images=list(images.values()),
            box_ids=list(range(1, len(boxes) + 1)),
            image_index=np.array(image_index, dtype=np.int64),
            class_index=np.array([index_of[name] for name in names], dtype=np.int64),
            bboxes=boxes,
            areas=boxes[:, 2] * boxes[:, 3],
            ignored=np.zeros(len(boxes), dtype=bool),
            entry_name=lambda row: f"line {lines[row]} of {self.ann_file}",
        )

    def _say_other_names(self, data: bytes) -> None:
        """Say by which names columns were told, and note which of them are sizes of boxes."""
        header = header_of(data)
        columns = known_columns(header)
        self._are_sizes = {column for column, name in columns.items() if is_size(column, name)}
        if (other := taken(columns)) and columns.keys() >= {*NEEDED} and not self._fully_initialized:
            print_log(f"{self.ann_file}: the column {other}", "current", logging.WARNING)

    def _image(self, row: dict[str, str], images: dict[str, dict], where: str) -> dict:
        name = row["filename"]
        if not name:
            raise DatasetError(f"{where} has no filename; give the path of its image")
        width, height = (int(number(row[key] or "0", key, where)) for key in ("width", "height"))
        size = size_or_error(width, height, where)
        if isinstance(size, NoSizeError):
            (path,) = self._paths([name], "img")
            size = self._sizes.known(size, name, path if os.path.isfile(path) else self._image_paths([name])[0])
        height, width = size
        image = images.setdefault(name, {"id": len(images) + 1, "file_name": name, "height": height, "width": width})
        if (image["width"], image["height"]) != (width, height):
            raise DatasetError(
                f"{where}: {shown(name)} is {width}x{height} here, but {image['width']}x{image['height']} before; "
                "correct one of them"
            )
        return image

    def _bbox(self, row: dict[str, str], where: str) -> tuple[float, float, float, float]:
        xmin, ymin, *ends = (number(row[key], key, where) for key in _BOX[1:])
        if self.one_based:
            xmin, ymin = xmin - 1, ymin - 1
        width, height = (
            end if column in self._are_sizes else end - start
            for column, start, end in zip(("xmax", "ymax"), (xmin, ymin), ends, strict=True)
        )
        return xmin, ymin, width, height
