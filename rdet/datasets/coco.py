"""Annotations in COCO's json format."""

import logging
import os

from mmengine.logging import print_log

from rdet import coco_json
from rdet.coco_boxes import CocoBoxes
from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.datasets.stated_sizes import NoSizeError, StatedSizes
from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.messages import few, shown
from rdet.registry import DATASETS

_NAMED = 3  # annotations that a message names before it only counts


@DATASETS.register_module()
class CocoDataset(DetDataset):
    """Images with boxes in a COCO json file; ``iscrowd`` boxes are ignored ones.

    A size that is missing or 0 is read from the image. A list that has another key is told by what its entries have.
    Equal class names in the file are one class. A file without ``annotations`` (COCO's
    ``image_info_test-dev2017.json``) is fine with ``test_mode=True``. For the arguments see :class:`DetDataset`.
    """

    def __init__(self, ann_file: str, **kwargs):
        self._sizes = StatedSizes()
        super().__init__(ann_file, **kwargs)

    def read_annotations(self) -> Annotations:
        """Read the json file; images, boxes and classes are in its order."""
        where = self.ann_file
        optional = ("annotations",) if self.test_mode else ()
        needed = [key for key in ("images", "categories", "annotations") if key not in optional]
        parsed = coco_json.parse(self._ann_file_bytes(), where)
        content = coco_json.lists(parsed, needed, optional, where)
        if (other := coco_json.called_otherwise(parsed, content)) and not self._fully_initialized:
            names = few(f"{name!r} is taken for {key!r}" for key, name in other.items())
            print_log(f"{where}: {names}, by what its entries have", "current", logging.WARNING)
        images, categories, boxes = (content[key] for key in ("images", "categories", "annotations"))
        category_ids = coco_json.ids(categories, "categories", where)
        classes = coco_json.names(categories, where)
        image_ids = coco_json.ids(images, "images", where)
        images = self._images(images)
        has_ids = any(isinstance(row, dict) and "id" in row for row in boxes)
        box_ids = coco_json.ids(boxes, "annotations", where) if has_ids else list(range(1, len(boxes) + 1))

        def entry_name(row: int) -> str:
            return f"annotation {box_ids[row]}"

        columns = CocoBoxes.of(boxes, image_ids, category_ids, entry_name, where)
        if (
            columns.replaced and not self._fully_initialized
        ):  # said once, though the file is read again for an evaluation
            print_log(
                f"{where}: {len(columns.replaced)} areas are negative or not finite: "
                f"{few(map(entry_name, columns.replaced), _NAMED)}; "
                "those of the boxes are taken, correct the file if areas matter",
                "current",
                logging.WARNING,
            )
        return Annotations(
            classes=classes,
            category_ids=category_ids,
            images=images,
            box_ids=box_ids,
            image_index=columns.image_index,
            class_index=columns.class_index,
            bboxes=columns.bboxes,
            areas=columns.areas,
            ignored=columns.crowds,
            entry_name=entry_name,
        )

    def _stated_size(self, row: int, image: dict) -> tuple[int, int] | NoSizeError:
        """Return height and width, or what to say if they are not there or no numbers of pixels."""
        for key in ("height", "width"):
            if key not in image:
                return NoSizeError(f"{self.ann_file}: images[{row}] lacks {key!r}; add it or drop the entry")
        width, height = sides = coco_json.whole(image["width"]), coco_json.whole(image["height"])
        if all(type(side) is int and 0 < side <= coco_json.MOST for side in sides):
            return height, width
        return NoSizeError(
            f"{self.ann_file}: images entry {image['id']} is {shown(sides[0])} wide and {shown(sides[1])} high; "
            "give its size in whole pixels"
        )

    def _check_name(self, image: dict) -> None:
        name = image["file_name"]
        if not isinstance(name, str) or not _is_path(name):
            raise DatasetError(
                f"{self.ann_file}: images entry {image['id']} has the file_name {shown(name)}; "
                "give the path of its file"
            )

    def _images(self, rows: list[dict]) -> list[dict]:
        """Return what is needed of the images; a size that the file does not state is read from the image."""
        coco_json.column(rows, "images", "file_name", self.ann_file)
        faults = Faults(self.ann_file, "images", len(rows))
        for image in rows:
            with faults.of(f"images entry {image['id']}"):
                self._check_name(image)
        faults.raise_any()
        sizes = [self._stated_size(row, image) for row, image in enumerate(rows)]
        without = [row for row, size in enumerate(sizes) if isinstance(size, NoSizeError)]
        names = [rows[row]["file_name"] for row in without]
        faults = Faults(self.ann_file, "images without a size")
        for row, name, path in zip(without, names, self._image_paths(names), strict=True):
            with faults.of(name):
                sizes[row] = self._sizes.known(sizes[row], name, path)
        faults.raise_any()
        if not self._fully_initialized:
            self._sizes.warn(self.ann_file)
        return [
            {"id": image["id"], "file_name": image["file_name"], "height": height, "width": width}
            for image, (height, width) in zip(rows, sizes, strict=True)
        ]


def _is_path(name: str) -> bool:
    if not name or "\0" in name:
        return False
    if name.isascii():
        return True
    try:
        os.fsencode(name)  # names that are not UTF-8 on the disk are fine, halves of other characters are not
    except UnicodeEncodeError:
        return False
    return True
