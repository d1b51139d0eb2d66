"""All analyses of one set of detections."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdet.analysis.detections.as_json import as_json
from rdet.analysis.detections.classes import ClassRow, GroupRow, class_rows, crowding_rows, size_rows
from rdet.analysis.detections.curves import OperatingPoint, ScoreCurves, score_curves
from rdet.analysis.detections.evaluated import Evaluated
from rdet.analysis.detections.images import ImageResult, image_results
from rdet.analysis.detections.mistakes import (
    Calibration,
    Confusion,
    TideErrors,
    calibration,
    confusion,
    tide_errors,
)


@dataclass(frozen=True)
class Diagnosis:
    """What is known of one set of detections.

    Attributes:
        evaluated: The detections.
        curves: Precision, recall and F1 over the threshold of the score.
        best: The threshold of the best F1, mean over the classes; what follows counts detections of at least that,
            where it counts at one threshold.
        classes: A row for each class, in the truth's order.
        sizes: A row for small, medium and large objects.
        crowding: A row for images with so many objects.
        tide: What each kind of mistake costs.
        confusion: Which class is taken for which, at ``best``.
        calibration: Whether scores keep what they promise; None where they are not between 0 and 1.
        images: Number of each image -> its result, at ``best``.
    """

    evaluated: Evaluated
    curves: ScoreCurves
    best: OperatingPoint
    classes: Sequence[ClassRow]
    sizes: Sequence[GroupRow]
    crowding: Sequence[GroupRow]
    tide: TideErrors
    confusion: Confusion
    calibration: Calibration | None
    images: dict[int, ImageResult]

    @property
    def name(self) -> str:
        """Of the detector."""
        return self.evaluated.name

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as json has them: None in place of nan."""
        truth = self.evaluated.truth
        ids = {number: id_ for id_, number in truth.image_numbers.items()}
        return as_json(
            {
                "name": self.name,
                "metrics": self.evaluated.metrics,
                "best": asdict(self.best),
                "classes": [asdict(row) for row in self.classes],
                "sizes": [asdict(row) for row in self.sizes],
                "crowding": [asdict(row) for row in self.crowding],
                "tide": asdict(self.tide),
                "confusion": asdict(self.confusion),
                "calibration": asdict(self.calibration) if self.calibration else None,
                "images": [
                    {"id": ids[r.number], "right": r.right, "false": r.false, "missed": r.missed, "f1": r.f1}
                    for r in self.images.values()
                ],
                "notes": self.evaluated.detections.notes,
            }
        )


def diagnose(evaluated: Evaluated) -> Diagnosis:
    """Analyse detections in all ways."""
    curves = score_curves(evaluated)
    best = curves.best()
    threshold = best.threshold if math.isfinite(best.threshold) else 1.0
    return Diagnosis(
        evaluated,
        curves,
        best,
        class_rows(evaluated, curves),
        size_rows(evaluated),
        crowding_rows(evaluated),
        tide_errors(evaluated),
        confusion(evaluated, threshold),
        calibration(evaluated),
        image_results(evaluated, threshold),
    )
