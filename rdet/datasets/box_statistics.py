"""How many boxes there are, how large, of which shape and where."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdet.datasets.class_summary import counts_by_class

_MOST_IMAGES = 5000  # whose boxes are looked at one by one


@dataclass(frozen=True)
class BoxStatistics:
    """The boxes of a data set; those to ignore are left out.

    Attributes:
        by_class: Name of a class -> how many boxes, of all images.
        sizes: (n, 2) width and height in pixels of the original images; of many images, of some.
        centres: (n, 2) x and y as shares of the image's width and height.
    """

    by_class: dict[str, int]
    sizes: np.ndarray
    centres: np.ndarray


def box_statistics(dataset: Any, most_images: int = _MOST_IMAGES) -> BoxStatistics:
    """Look at the boxes of a data set.

    Args:
        dataset: Built; it may be wrapped.
        most_images: Of how many images the boxes are measured: evenly spaced ones.
    """
    sizes, centres = [np.empty((0, 2))], [np.empty((0, 2))]
    for one in _innermost(dataset):
        for index in np.unique(np.linspace(0, len(one) - 1, min(len(one), most_images)).astype(int)).tolist():
            record = one.get_data_info(index)
            boxes = np.asarray(record["gt_bboxes"], dtype=np.float64)[
                ~np.asarray(record["gt_ignore_flags"], dtype=bool)
            ]
            sizes.append(boxes[:, 2:] - boxes[:, :2])
            centres.append((boxes[:, 2:] + boxes[:, :2]) / 2 / (record["width"], record["height"]))
    return BoxStatistics(counts_by_class(dataset), np.concatenate(sizes), np.concatenate(centres))


def _innermost(dataset: Any) -> Iterator[Any]:
    """Yield the data sets that are wrapped, each once."""
    inner = getattr(dataset, "datasets", None) or [
        one for one in [getattr(dataset, "dataset", None)] if one is not None
    ]
    if inner:
        for one in inner:
            yield from _innermost(one)
    elif len(dataset):
        yield dataset
