"""Detections in a file of anyone: COCO's results format, or what ``rdet infer`` writes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdet import coco_boxes, coco_json
from rdet.analysis.detections.boxes_of_masks import with_boxes
from rdet.analysis.detections.matching_ids import by_names, category_ids, image_ids, is_id
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
            scores: images are then found by ``file_name`` and classes by name. See
            :mod:`~rdet.analysis.detections.matching_ids` for ids that are written otherwise than in the truth.
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
            entries = by_names(content, truth, where)
        else:
            entries = content
        if not isinstance(entries, list):
            raise ResultsError(f"{where} is no list of detections but {shown(entries)}; give a COCO results file")
        _check_scores(entries, where)
        boxed, has_masks = with_boxes(entries, where)
        if has_masks:
            notes.append("Masks are not evaluated: boxes are, and of an entry without one the box around its mask.")
        coco_json.column(boxed, "results", "bbox", where)
        boxes = coco_boxes.bboxes(boxed, lambda row: f"results[{row}]", where)
        images, of_images = image_ids(coco_json.column(entries, "results", "image_id", where), truth)
        categories, of_categories = category_ids(coco_json.column(entries, "results", "category_id", where), truth)
        notes += [*of_images, *of_categories]
    except OSError as error:
        raise ResultsError(f"{where} cannot be read ({why_unreadable(error)}); check the path") from error
    except DatasetError as error:
        raise ResultsError(str(error)) from error
    known_images = _known(images, truth.image_numbers)
    known_categories = _known(categories, truth.category_numbers)
    if entries and not known_images.any():
        raise EvaluationError(
            f"{where}: none of its images is in the truth, {truth.source}: {_few(images)}; give the truth of these "
            "results"
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


def _check_scores(entries: list[dict[str, Any]], where: str) -> None:
    for i, value in enumerate(coco_json.column(entries, "results", "score", where)):
        if type(value) not in (int, float):
            raise ResultsError(f"{where}: results[{i}] has the score {shown(value)}; it must be a number")
        if not abs(value) < 1e300:
            raise NonFiniteDetectionError(
                f"{where}: results[{i}] has the score {shown(value)}; remove it, or take another checkpoint"
            )


def _known(values: list[Any], of: dict[Any, int]) -> np.ndarray:
    return np.array([is_id(value) and value in of for value in values], dtype=bool)


def _left_out(values: list[Any], known: np.ndarray, what: str) -> Iterable[str]:
    if not known.all():
        unknown = [value for value, is_known in zip(values, known.tolist(), strict=True) if not is_known]
        count = f"{len(unknown)} of {len(values)}"
        yield f"Left out: {count} detections, of which the truth has no {what}: {_few(unknown)}."


def _few(values: Iterable[Any]) -> str:
    return few(dict.fromkeys(map(shown, values)))
