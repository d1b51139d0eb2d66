"""From the columns of a file to one record for each image."""

from collections.abc import Sequence

import numpy as np

from rdet.datasets.annotations import Annotations
from rdet.datasets.classes import REGION

# Pixels by which a box may pass its image's edge without being called clipped: files round to 1/100.
ROUNDING = 0.1


def build_records(
    annotations: Annotations, labels: np.ndarray, paths: Sequence[str]
) -> tuple[list[dict], dict[str, list[str]], dict[int, int]]:
    """Clip boxes to their images, leave out those without area and group the rest by image.

    Args:
        annotations: M images and B boxes.
        labels: Label of each of the file's classes (C,), ``OTHER`` for those that are not kept; boxes of ``REGION``
            become ignored ones, whose label says nothing.
        paths: File of each image (M).

    Returns:
        M records as :class:`~rdet.datasets.DetDataset` describes them; why boxes of kept classes
        were left out -> where in the file they stand; and ``img_id`` -> how many boxes to learn were
        clipped, for images with such.
    """
    label_of_box = labels[annotations.class_index]  # (B,)
    region = label_of_box == REGION
    selected = region | (label_of_box >= 0)
    label_of_box, ignored_box = np.maximum(label_of_box, 0), annotations.ignored | region
    sizes = np.array([(image["width"], image["height"]) for image in annotations.images], dtype=np.float64)
    limits = sizes.reshape(-1, 2)[annotations.image_index]  # (B, 2)
    upper_left, extent = annotations.bboxes[:, :2], annotations.bboxes[:, 2:]
    first = np.clip(upper_left, 0, limits)
    last = np.clip(upper_left + extent, 0, limits)

    flat = selected & (extent <= 0).any(axis=1)
    outside = selected & ~flat & (last <= first).any(axis=1)
    left_out = {
        reason: [annotations.entry_name(row) for row in np.flatnonzero(mask)]
        for reason, mask in (("boxes without width or height", flat), ("boxes outside the image", outside))
        if mask.any()
    }

    rows = np.flatnonzero(selected & ~flat & ~outside)
    rows = rows[np.argsort(annotations.image_index[rows], kind="stable")]  # image by image
    bounds = np.searchsorted(annotations.image_index[rows], np.arange(len(annotations.images) + 1)).tolist()
    bboxes = np.concatenate([first[rows], last[rows]], axis=1).astype(np.float32)
    box_labels, ignored = label_of_box[rows], ignored_box[rows]
    reach = np.maximum(np.abs(first - upper_left), np.abs(last - (upper_left + extent))).max(axis=1)  # (B,)
    clipped = rows[(reach[rows] > ROUNDING) & ~ignored]
    image_rows, counts = np.unique(annotations.image_index[clipped], return_counts=True)
    clipped_in = {annotations.images[row]["id"]: int(n) for row, n in zip(image_rows, counts, strict=True)}
    records = [
        {
            "img_id": image["id"],
            "img_path": path,
            "height": image["height"],
            "width": image["width"],
            "gt_bboxes": bboxes[start:stop],
            "gt_bboxes_labels": box_labels[start:stop],
            "gt_ignore_flags": ignored[start:stop],
        }
        for image, path, start, stop in zip(annotations.images, paths, bounds[:-1], bounds[1:], strict=True)
    ]
    return records, left_out, clipped_in
