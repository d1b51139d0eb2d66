"""Annotations in COCO's json format."""

import logging
import os

import numpy as np
from mmengine.logging import print_log

from rdet import coco_json
from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.errors import DatasetError
from rdet.messages import few, shown
from rdet.registry import DATASETS

_NAMED = 3  # annotations that a message names before it only counts


@DATASETS.register_module()
class CocoDataset(DetDataset):
    """Images with boxes in a COCO json file; ``iscrowd`` boxes are ignored ones.

    Equal class names in the file are one class. A file without ``annotations`` (COCO's
    ``image_info_test-dev2017.json``) is fine with ``test_mode=True``. For the arguments see
    :class:`DetDataset`.
    """

    def read_annotations(self) -> Annotations:
        """Read the json file; images, boxes and classes are in its order."""
        where = self.ann_file
        optional = ("annotations",) if self.test_mode else ()
        needed = [key for key in ("images", "categories", "annotations") if key not in optional]
        content = coco_json.lists(coco_json.parse(self._ann_file_bytes(), where), needed, optional, where)
        images, categories, boxes = (content[key] for key in ("images", "categories", "annotations"))
        category_ids = coco_json.ids(categories, "categories", where)
        classes = coco_json.names(categories, where)
        image_ids = coco_json.ids(images, "images", where)
        for key in ("file_name", "height", "width"):
            coco_json.column(images, "images", key, where)
        for image in images:
            image["width"], image["height"] = coco_json.whole(image["width"]), coco_json.whole(image["height"])
            self._check_image(image)
        box_ids = coco_json.ids(boxes, "annotations", where)

        def entry_name(row: int) -> str:
            return f"annotation {box_ids[row]}"

        bboxes = coco_json.bboxes(boxes, entry_name, where)
        areas, replaced = coco_json.areas(boxes, bboxes, entry_name, where)
        if replaced and not self._fully_initialized:  # said once, though the file is read again for an evaluation
            print_log(
                f"{where}: {len(replaced)} areas are negative or not finite: {few(map(entry_name, replaced), _NAMED)}; "
                "those of the boxes are taken, correct the file if areas matter",
                "current",
                logging.WARNING,
            )
        return Annotations(
            classes=classes,
            category_ids=category_ids,
            images=[{k: image[k] for k in ("id", "file_name", "height", "width")} for image in images],
            box_ids=box_ids,
            image_index=self._positions(boxes, "image_id", image_ids),
            class_index=self._positions(boxes, "category_id", category_ids),
            bboxes=bboxes,
            areas=areas,
            ignored=coco_json.crowds(boxes, entry_name, where),
            entry_name=entry_name,
        )

    def _check_image(self, image: dict) -> None:
        name, sides = image["file_name"], (image["width"], image["height"])
        if not isinstance(name, str) or not _is_path(name):
            raise DatasetError(
                f"{self.ann_file}: images entry {image['id']} has the file_name {shown(name)}; "
                "give the path of its file"
            )
        if not all(type(side) is int and 0 < side <= coco_json.MOST for side in sides):
            raise DatasetError(
                f"{self.ann_file}: images entry {image['id']} is {shown(sides[0])} wide and {shown(sides[1])} high; "
                "give its size in whole pixels"
            )

    def _positions(self, boxes: list[dict], key: str, ids: list[int]) -> np.ndarray:
        values = coco_json.column(boxes, "annotations", key, self.ann_file)
        found = coco_json.positions(values, ids)
        if None in found:
            row = found.index(None)
            what = "image" if key == "image_id" else "category"
            raise DatasetError(
                f"{self.ann_file}: annotation {boxes[row]['id']} refers to the {what} {shown(values[row])}, which the "
                f"file does not have; add the {what} or remove the annotation"
            )
        return np.array(found, dtype=np.int64)


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
