"""What loading a data set kept and what it left out."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np


@dataclass(frozen=True)
class LoadReport:
    """Counts of one loaded data set.

    Attributes:
        images: Images kept.
        boxes: Boxes to learn or to find in them.
        ignored: Boxes that are neither object nor background (crowd, difficult).
        empty_images: Kept images without a box of the first kind.
        dropped: What was left out of the file, "images missing" or "boxes outside the image" for
            example, -> how many.
        clipped: How many of ``boxes`` reached beyond their image and were clipped to it.
        fullest: How many of ``boxes`` are in the image that has most.
        by_class: How many of ``boxes`` each label has; labels after the last that occurs are left out.
    """

    images: int
    boxes: int
    ignored: int
    empty_images: int
    dropped: dict[str, int] = field(default_factory=dict)
    clipped: int = 0
    fullest: int = field(default=0, compare=False)
    by_class: tuple[int, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, records: list[dict], dropped: dict[str, int], clipped: int = 0) -> "LoadReport":
        """Count the ``gt_ignore_flags`` of all records."""
        ignored = [int(record["gt_ignore_flags"].sum()) for record in records]
        boxes = [len(record["gt_ignore_flags"]) - i for record, i in zip(records, ignored, strict=True)]
        fullest = max(boxes, default=0)
        labels = [record["gt_bboxes_labels"][~np.asarray(record["gt_ignore_flags"], dtype=bool)] for record in records]
        by_class = tuple(np.bincount(np.concatenate([[], *labels]).astype(np.int64)).tolist())
        return cls(len(records), sum(boxes), sum(ignored), boxes.count(0), dict(dropped), clipped, fullest, by_class)

    def __add__(self, other: "LoadReport") -> "LoadReport":
        return LoadReport(
            self.images + other.images,
            self.boxes + other.boxes,
            self.ignored + other.ignored,
            self.empty_images + other.empty_images,
            dict(Counter(self.dropped) + Counter(other.dropped)),
            self.clipped + other.clipped,
            max(self.fullest, other.fullest),
            tuple(map(sum, zip_longest(self.by_class, other.by_class, fillvalue=0))),
        )
