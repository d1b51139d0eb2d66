"""The ground truth of an evaluation, from the columns of a file."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from rdet.datasets.annotations import Annotations
from rdet.datasets.classes import REGION


def coco_ground_truth(
    annotations: Annotations, classes: Sequence[str], labels: np.ndarray, kept: Collection[int]
) -> dict:
    """Write annotations in COCO format, as :meth:`~rdet.datasets.DetDataset.coco_ground_truth` describes it.

    Args:
        annotations: What the file says.
        classes: Names of the K classes to learn.
        labels: Label of each of the file's classes (C,), ``OTHER`` or ``REGION``.
        kept: Ids of the images.
    """
    category_ids = _category_ids(annotations.category_ids, labels, len(classes))
    image_ids = [image["id"] for image in annotations.images]
    boxes = []
    for row in range(len(annotations.box_ids)):
        label, image_id = labels[annotations.class_index[row]], image_ids[annotations.image_index[row]]
        if label >= 0 and image_id in kept:
            boxes.append(_box(annotations, row, annotations.box_ids[row], image_id, category_ids[label]))
    boxes += _regions(annotations, labels, image_ids, kept, category_ids)
    return {
        "images": [image for image in annotations.images if image["id"] in kept],
        "annotations": boxes,
        "categories": [{"id": i, "name": name} for i, name in zip(category_ids, classes, strict=True)],
    }


def _category_ids(ids: Sequence[int] | None, labels: np.ndarray, classes: int) -> list[int]:
    """Return the id of each class: merged classes take that of the first of them, those not in the file new ones."""
    if ids is None:
        return list(range(1, classes + 1))
    first = {label: ids[row] for row, label in reversed(list(enumerate(labels.tolist())))}
    new = max(ids, default=0)
    return [first[label] if label in first else (new := new + 1) for label in range(classes)]


def _box(annotations: Annotations, row: int, box_id: int, image_id: int, category_id: int, crowd: bool = False) -> dict:
    return {
        "id": box_id,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": annotations.bboxes[row].tolist(),
        "area": float(annotations.areas[row]),
        "iscrowd": int(crowd or annotations.ignored[row]),
    }


def _regions(
    annotations: Annotations,
    labels: np.ndarray,
    image_ids: Sequence[int],
    kept: Collection[int],
    category_ids: Sequence[int],
) -> Iterator[dict]:
    """Yield the boxes of ignored classes as crowds of every class, since COCO's evaluation looks at each by itself."""
    new_id = max(annotations.box_ids, default=0)
    for row in np.flatnonzero(labels[annotations.class_index] == REGION):
        if (image_id := image_ids[annotations.image_index[row]]) in kept:
            for category_id in category_ids:
                new_id += 1
                yield _box(annotations, row, new_id, image_id, category_id, crowd=True)
