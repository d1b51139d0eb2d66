"""What is odd about the images of splits, and about boxes in them."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from terminaltables import AsciiTable

from rdet.datasets.fingerprints import Fingerprint, fingerprints, near_duplicates
from rdet.datasets.images import read_image
from rdet.datasets.repeated_boxes import repeated_boxes
from rdet.datasets.summary import classes_of
from rdet.errors import BadImageError
from rdet.messages import few
from rdet.visualization.canvas import as_rgb
from rdet.visualization.draw import draw_boxes
from rdet.visualization.sheet import fitted, sheet

_MOST_COMPARED = 20_000  # images of a split that are compared with each other
_SHOWN = 12  # pictures of one doubt
_SIDE = 480  # pixels of a picture's longer side
Pictures = Iterator[tuple[str, np.ndarray]]


class Finding(NamedTuple):
    """Something to look at.

    Attributes:
        text: What it is, in a sentence.
        pictures: Makes captions and pictures of it; None: there is nothing to see.
    """

    text: str
    pictures: Callable[[], Pictures] | None = None


class Images:
    """The images of all splits, read once.

    Args:
        datasets: Name of each split -> its data set.
    """

    def __init__(self, datasets: Mapping[str, Any]):
        self.datasets = {split: data for split, data in datasets.items() if hasattr(data, "get_data_info")}
        self._prints: dict[str, dict[str, Fingerprint | None]] = {}
        for split, dataset in self.datasets.items():
            paths = list(dict.fromkeys(record["img_path"] for record in _records(dataset)))
            self._prints[split] = dict(zip(paths, fingerprints(paths), strict=True))

    def table(self) -> str:
        """Tabulate the sizes of the images, and how many a camera's note (EXIF) turns."""
        rows = [["split", "smallest image", "median", "largest", "turned (EXIF)"]]
        for split, dataset in self.datasets.items():
            sizes = np.array([(r["width"], r["height"]) for r in _records(dataset) if "width" in r]).reshape(-1, 2)
            if len(sizes):
                order = sizes[sizes.prod(axis=1).argsort(kind="stable")]
                some = [f"{w}x{h}" for w, h in (order[0], np.median(sizes, axis=0).astype(int), order[-1])]
                turned = sum(found is not None and found.is_turned for found in self._prints[split].values())
                rows.append([split, *some, str(turned)])
        return AsciiTable(rows).table

    def findings(self) -> Iterator[Finding]:
        """Yield images that show nearly the same in two splits, and boxes that are there twice."""
        for first, second in combinations(self.datasets, 2):
            if pairs := self._alike(first, second):
                names = few((f"{Path(a).name} and {Path(b).name}" for a, b in pairs), 3)
                yield Finding(
                    f"{first} and {second} have {_pairs(pairs)} that show nearly the same ({names}); keep such images "
                    "in one split",
                    partial(_side_by_side, pairs),
                )
        for split, dataset in self.datasets.items():
            again = [(r, found) for r in _records(dataset) if len(found := repeated_boxes(r))]
            if again:
                number = sum(len(found) for _, found in again)
                names = few((Path(record["img_path"]).name for record, _ in again), 3)
                yield Finding(
                    f"{split} has {number} boxes that repeat one of their class in {len(again)} images ({names}); "
                    "take one of each away",
                    partial(_with_boxes, again, classes_of(dataset)),
                )

    def notes(self) -> Iterator[str]:
        """Yield what is worth knowing, and not wrong."""
        for split in self.datasets:
            if len(self._prints[split]) > _MOST_COMPARED:
                yield f"the images of {split} are not compared with each other: {len(self._prints[split])} are many"
            elif pairs := self._alike(split, split):
                names = few((f"{Path(a).name} and {Path(b).name}" for a, b in pairs), 3)
                yield f"{split} has {_pairs(pairs)} that show nearly the same ({names})"

    def _alike(self, first: str, second: str) -> list[tuple[str, str]]:
        ours, theirs = (list(self._prints[split].items()) for split in (first, second))
        found = near_duplicates([print_ for _, print_ in ours], [print_ for _, print_ in theirs])
        pairs = [(ours[a][0], theirs[b][0]) for a, b in found if first != second or a < b]
        return [pair for pair in pairs if os.path.abspath(pair[0]) != os.path.abspath(pair[1])]


def _records(dataset: Any) -> Iterator[dict]:
    return map(dataset.get_data_info, range(len(dataset)))


def _pairs(pairs: list) -> str:
    return f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'} of images"


def _side_by_side(pairs: list[tuple[str, str]]) -> Pictures:
    for first, second in pairs[:_SHOWN]:
        try:
            pictures = [fitted(_picture(path), _SIDE)[0] for path in (first, second)]
        except BadImageError:
            continue
        yield f"{Path(first).name} and {Path(second).name}", sheet(pictures)


def _with_boxes(again: list[tuple[dict, np.ndarray]], classes: tuple[str, ...]) -> Pictures:
    for record, found in again[:_SHOWN]:
        try:
            image, factor = fitted(_picture(record["img_path"]), _SIDE)
        except BadImageError:
            continue
        boxes, labels = record["gt_bboxes"][found] * factor, record["gt_bboxes_labels"][found]
        yield f"{Path(record['img_path']).name}: boxes that are there twice", draw_boxes(image, boxes, labels, classes)


def _picture(path: str) -> np.ndarray:
    return as_rgb(read_image(path, value_range="image", channels=None)[:, :, ::-1])
