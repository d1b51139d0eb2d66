"""Annotations in COCO's json format."""

import json
from typing import Any

import numpy as np

from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.errors import DatasetError
from rdet.registry import DATASETS


@DATASETS.register_module()
class CocoDataset(DetDataset):
    """Images with boxes in a COCO json file; ``iscrowd`` boxes are ignored ones.

    Equal class names in the file are one class. A file without ``annotations`` (COCO's
    ``image_info_test-dev2017.json``) is fine with ``test_mode=True``. For the arguments see
    :class:`DetDataset`.
    """

    def read_annotations(self) -> Annotations:
        """Read the json file; images, boxes and classes are in its order."""
        content = self._load()
        images, categories, boxes = (content.get(k, []) for k in ("images", "categories", "annotations"))
        category_ids = self._ids(categories, "categories")
        classes = self._column(categories, "categories", "name")
        for category in categories:
            if not isinstance(category["name"], str):
                raise DatasetError(
                    f"{self.ann_file}: category {category['id']} has the name {category['name']!r:.40}; it must be a "
                    "string"
                )
        image_ids = self._ids(images, "images")
        for key in ("file_name", "height", "width"):
            self._column(images, "images", key)
        for image in images:
            if not isinstance(image["file_name"], str):
                raise DatasetError(
                    f"{self.ann_file}: images entry {image['id']} has the file_name {image['file_name']!r}; "
                    "give the path of its file"
                )
            if not all(isinstance(image[key], int) and image[key] > 0 for key in ("height", "width")):
                raise DatasetError(
                    f"{self.ann_file}: images entry {image['id']} is {image['width']!r} wide and "
                    f"{image['height']!r} high; give its size in whole pixels"
                )
        box_ids = self._ids(boxes, "annotations")
        bboxes = self._bboxes(boxes)
        return Annotations(
            classes=classes,
            category_ids=category_ids,
            images=[{k: image[k] for k in ("id", "file_name", "height", "width")} for image in images],
            box_ids=box_ids,
            image_index=self._positions(boxes, "image_id", image_ids),
            class_index=self._positions(boxes, "category_id", category_ids),
            bboxes=bboxes,
            areas=self._areas(boxes, bboxes),
            ignored=self._crowds(boxes),
            entry_name=lambda row: f"annotation {box_ids[row]}",
        )

    def _load(self) -> dict[str, list]:
        text = self._ann_file_bytes()
        if not text.strip():
            raise DatasetError(f"{self.ann_file} is empty; write it again")
        try:
            content = json.loads(text)
        except ValueError as error:  # also of bytes that are not UTF-8
            raise DatasetError(f"{self.ann_file} is not JSON ({error}); write it again") from error
        keys = ("images", "categories") if self.test_mode else ("images", "categories", "annotations")
        for key in keys:
            if not isinstance(content, dict) or key not in content:
                hint = "; test_mode=True loads images alone" if key == "annotations" else "; is it a COCO file?"
                raise DatasetError(f"{self.ann_file} has no {key!r}{hint}")
        for key in ("images", "categories", "annotations"):
            if not isinstance(content.get(key, []), list):
                raise DatasetError(f"{self.ann_file}: {key!r} is not a list but {content[key]!r:.40}")
        return content

    def _column(self, rows: list[dict], table: str, key: str) -> list:
        try:
            return [row[key] for row in rows]
        except (KeyError, TypeError, IndexError):
            for i, row in enumerate(rows):
                if not isinstance(row, dict):
                    raise DatasetError(f"{self.ann_file}: {table}[{i}] is no object but {row!r:.40}") from None
                if key not in row:
                    raise DatasetError(
                        f"{self.ann_file}: {table}[{i}] lacks {key!r}; add it or drop the entry"
                    ) from None
            raise

    def _ids(self, rows: list[dict], table: str) -> list[int]:
        ids = self._column(rows, table, "id")
        for i, value in enumerate(ids):
            if type(value) is not int:
                raise DatasetError(f"{self.ann_file}: {table}[{i}] has the id {value!r}; use a whole number")
        if len(set(ids)) < len(ids):
            first: dict[int, int] = {}
            i = next(i for i, value in enumerate(ids) if first.setdefault(value, i) != i)
            raise DatasetError(
                f"{self.ann_file}: {table}[{first[ids[i]]}] and {table}[{i}] have the same id {ids[i]}; renumber them"
            )
        return ids

    def _positions(self, boxes: list[dict], key: str, ids: list[int]) -> np.ndarray:
        position = {value: i for i, value in enumerate(ids)}
        values = self._column(boxes, "annotations", key)
        try:
            return np.array([position[value] for value in values], dtype=np.int64)
        except (KeyError, TypeError):
            box = next(b for b in boxes if not isinstance(b[key], int) or b[key] not in position)
            what = "image" if key == "image_id" else "category"
            raise DatasetError(
                f"{self.ann_file}: annotation {box['id']} refers to the {what} {box[key]!r}, which the file does "
                f"not have; add the {what} or remove the annotation"
            ) from None

    def _bboxes(self, boxes: list[dict]) -> np.ndarray:
        values: list[Any] = self._column(boxes, "annotations", "bbox")
        if not values:
            return np.zeros((0, 4))
        try:
            bboxes = np.array(values)
        except ValueError:  # of unequal lengths
            bboxes = np.array([None])
        if bboxes.dtype.kind in "if" and bboxes.shape[1:] == (4,) and np.isfinite(bboxes).all():
            return bboxes.astype(np.float64)
        box = next(b for b in boxes if not _is_bbox(b["bbox"]))
        raise DatasetError(
            f"{self.ann_file}: annotation {box['id']} has the bbox {box['bbox']!r:.60}; it must be four finite "
            "numbers: x, y, width, height"
        )

    def _crowds(self, boxes: list[dict]) -> np.ndarray:
        stated = [box.get("iscrowd") for box in boxes]
        for box, value in zip(boxes, stated, strict=True):
            if value not in (0, 1, None):  # None is not stated, as for the area; False and True are 0 and 1
                raise DatasetError(
                    f"{self.ann_file}: annotation {box['id']} has the iscrowd {value!r:.40}; it must be 0 or 1"
                )
        return np.array(stated, dtype=bool)

    def _areas(self, boxes: list[dict], bboxes: np.ndarray) -> np.ndarray:
        """Take areas as the file states them, else those of the bboxes. Only COCO's evaluation uses them."""
        stated = [box.get("area") for box in boxes]
        for box, area in zip(boxes, stated, strict=True):
            if not isinstance(area, int | float | None):
                raise DatasetError(
                    f"{self.ann_file}: annotation {box['id']} has the area {area!r}; it must be a number"
                )
        areas = np.array(stated, dtype=np.float64)  # None becomes NaN
        return np.where(np.isnan(areas), bboxes[:, 2] * bboxes[:, 3], areas)


def _is_bbox(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) and np.isfinite(v) for v in value)
    )
