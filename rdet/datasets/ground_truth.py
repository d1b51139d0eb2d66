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
    category_ids = list(range(1, len(classes) + 1))
    if annotations.category_ids is not None:  # merged classes take the id of the first of them
        category_ids = [annotations.category_ids[np.argmax(labels == label)] for label in range(len(classes))]
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
