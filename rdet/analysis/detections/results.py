"""Detections in a file of anyone: COCO's results format, or what ``rdet infer`` writes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdet import coco_boxes, coco_json
from rdet.analysis.detections.truth import Truth
from rdet.errors import DatasetError, EvaluationError, NonFiniteDetectionError, ResultsError
from rdet.evaluation.coco_eval import as_rows
from rdet.files import read_regular, why_unreadable
from rdet.messages import few, shown


@dataclass(frozen=True)
class Detections:
    """What a detector found in the images of a truth.

    Attributes:
        rows: (N, 7) float64: number of the image, x, y, width, height, score, number of the category; the numbers are
            those of :attr:`~rdet.analysis.detections.truth.Truth.dataset`.
        notes: What of the file was left out or read in another way, a sentence each.
    """

    rows: np.ndarray
    notes: tuple[str, ...] = ()


def read_detections(path: str | Path, truth: Truth) -> Detections:
    """Read detections and find their images and classes in a truth.

    Args:
        path: A list of ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``, as pycocotools,
            Detectron2 (``coco_instances_results.json``) and MMDetection (``*.bbox.json``) have it; of an entry with a
            mask alone, the box around it is taken. Or a dict with ``images``, ``categories`` and ``annotations`` with
            scores: images are then found by ``file_name`` and classes by name.
        truth: What they are judged by.

    Raises:
        ResultsError: The file cannot be used; the message names the entry.
        NonFiniteDetectionError: A box or a score is infinite or not a number.
        EvaluationError: None of the images is in the truth.
    """
    where = str(path)
    try:
        content = coco_json.parse(read_regular(path), where)
        notes: list[str] = []
        if isinstance(content, dict):
            entries = _renamed(coco_json.lists(content, ("images", "categories", "annotations"), (), where), truth)
        else:
            entries = content
        if not isinstance(entries, list):
            raise ResultsError(f"{where} is no list of detections but {shown(entries)}; give a COCO results file")
        _check_scores(entries, where)
        with_boxes = [_boxed(entry) for entry in entries]
        if with_boxes != entries:
            notes.append("Masks are not evaluated: boxes are, and of an entry without one the box around its mask.")
        boxes = coco_boxes.bboxes(with_boxes, lambda row: f"results[{row}]", where)
        keys = ("image_id", "category_id")
        images, categories = (coco_json.column(entries, "results", key, where) for key in keys)
    except OSError as error:
        raise ResultsError(f"{where} cannot be read ({why_unreadable(error)}); check the path") from error
    except DatasetError as error:
        raise ResultsError(str(error)) from error
    known_images = _known(images, truth.image_numbers)
    known_categories = _known(categories, truth.category_numbers)
    if entries and not known_images.any():
        raise EvaluationError(
            f"{where}: none of its images is in the truth, {truth.source}: {few(map(repr, dict.fromkeys(images)))}; "
            "give the truth of these results"
        )
    if entries and not known_categories.any():
        raise EvaluationError(
            f"{where}: none of its categories is in the truth, {truth.source}, which has "
            f"{few(map(repr, truth.category_numbers))}; give the truth of these results"
        )
    notes += _left_out(images, known_images, "image")
    notes += _left_out(categories, known_categories, "category")
    by_image: dict[int | str, list[tuple[float, ...]]] = {}
    for i in np.flatnonzero(known_images & known_categories):
        row = (*boxes[i], entries[i]["score"], truth.category_numbers[categories[i]])
        by_image.setdefault(images[i], []).append(row)
    same = {number: number for number in truth.category_numbers.values()}
    arrays = {image: np.asarray(rows, dtype=np.float64) for image, rows in by_image.items()}
    return Detections(as_rows(arrays, truth.image_numbers, same), tuple(notes))


def _renamed(content: dict[str, list], truth: Truth) -> list[dict[str, Any]]:
    """Give the detections of a dict the truth's ids of their images and categories; None where it has no such."""
    ids = {str(image.get("file_name")): image["id"] for image in truth.content["images"]}
    short = {Path(name).name: id_ for name, id_ in ids.items()}
    images = {
        image["id"]: ids.get(image["file_name"], short.get(Path(image["file_name"]).name))
        for image in content["images"]
    }
    names = {category["name"]: category["id"] for category in truth.content["categories"]}
    categories = {category["id"]: names.get(category["name"]) for category in content["categories"]}
    return [
        {
            **row,
            "image_id": images.get(row.get("image_id")),
            "category_id": categories.get(row.get("category_id")),
        }
        for row in content["annotations"]
    ]


def _check_scores(entries: list[dict[str, Any]], where: str) -> None:
    for i, value in enumerate(coco_json.column(entries, "results", "score", where)):
        if type(value) not in (int, float):
            raise ResultsError(f"{where}: results[{i}] has the score {shown(value)}; it must be a number")
        if not abs(value) < 1e300:
            raise NonFiniteDetectionError(
                f"{where}: results[{i}] has the score {shown(value)}; remove it, or take another checkpoint"
            )


def _boxed(entry: dict[str, Any]) -> dict[str, Any]:
    """Give an entry that has a mask and no box the box around the mask."""
    mask = entry.get("segmentation")
    if "bbox" in entry or not mask:
        return entry
    if isinstance(mask, dict) and isinstance(mask.get("counts"), str | bytes):
        from pycocotools import mask as masks

        return {**entry, "bbox": masks.toBbox(mask).tolist()}
    if isinstance(mask, list) and all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in mask):
        points = np.concatenate([np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in mask])
        return {**entry, "bbox": [*points.min(0).tolist(), *np.ptp(points, axis=0).tolist()]}
    return entry


def _known(values: list[Any], of: dict[Any, int]) -> np.ndarray:
    return np.array([isinstance(value, int | str) and value in of for value in values], dtype=bool)


def _left_out(values: list[Any], known: np.ndarray, what: str) -> Iterable[str]:
    if not known.all():
        unknown = [value for value, is_known in zip(values, known.tolist(), strict=True) if not is_known]
        names = few(map(repr, dict.fromkeys(map(str, unknown))))
        yield f"Left out: {len(unknown)} of {len(values)} detections, of which the truth has no {what}_id: {names}."
