"""Detections in COCO's results format, and whether they are of the images they should be of.

Format: https://cocodataset.org/#format-results.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rdet.errors import EvaluationError
from rdet.files import write_text
from rdet.messages import few


def from_labels(detections: np.ndarray, category_ids: Sequence[int], image_id: int | str) -> np.ndarray:
    """Turn corners into sizes and labels into category ids.

    Args:
        detections: (n, 6) of ``x1, y1, x2, y2, score, label``.
        category_ids: Category id of each label.
        image_id: Named in the message of the error.

    Returns:
        (n, 6) of ``x, y, width, height, score, category_id``.

    Raises:
        EvaluationError: There is no such label.
    """
    out = detections.copy()
    labels = out[:, 5].astype(int)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(category_ids):
        raise EvaluationError(
            f"image {image_id!r} has a detection of label {labels.max()}, but the ground truth has "
            f"{len(category_ids)} classes; check num_classes of the model"
        )
    out[:, 2:4] -= out[:, :2]
    out[:, 5] = np.asarray(category_ids)[labels]
    return out


def write_results(path: Path, image_ids: Sequence[int | str], detections: dict[int | str, np.ndarray]) -> None:
    """Write a COCO results file.

    Args:
        path: The json file; its folder is made.
        image_ids: The images in the order to write them.
        detections: For each image an (n, 6) array of ``x, y, width, height, score, category_id``.
    """
    results = [
        {"image_id": image_id, "category_id": int(row[5]), "bbox": row[:4], "score": row[4]}
        for image_id in image_ids
        for row in detections[image_id].tolist()
    ]
    write_text(path, json.dumps(results))


def check_images(evaluated: Sequence[int | str], expected: Sequence[int | str]) -> None:
    """Raise EvaluationError unless each expected image was evaluated exactly once, and no other was."""
    times = Counter(evaluated)
    unknown = sorted(times.keys() - set(expected), key=str)
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} evaluated images are not in the ground truth: {few(map(repr, unknown))}; give the ground "
            "truth of the data set under evaluation"
        )
    repeated = [image_id for image_id in expected if times[image_id] > 1]
    if repeated:
        raise EvaluationError(
            f"{len(repeated)} images were evaluated more than once, image {repeated[0]!r} {times[repeated[0]]} times; "
            "a sampler that evens out the processes by repeating images does that: set its round_up=False"
        )
    missing = [image_id for image_id in expected if image_id not in times]
    if missing:
        raise EvaluationError(
            f"{len(missing)} of {len(expected)} images were not evaluated: {few(map(repr, missing))}; give the ground "
            "truth of the data set under evaluation"
        )
