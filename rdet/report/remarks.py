"""What stands out, in sentences."""

from collections.abc import Iterator

import numpy as np

from rdet.analysis.detections.classes import ClassRow
from rdet.analysis.detections.diagnosis import Diagnosis
from rdet.analysis.detections.mistakes import TIDE_KINDS

_LOW = 0.1  # scores that a test keeps, and what is written to be looked at does not


def remarks(model: Diagnosis) -> list[str]:
    """Say in a few sentences what the numbers of a detector mean."""
    return list(_remarks(model))


def _remarks(model: Diagnosis) -> Iterator[str]:
    best = model.best
    if not len(model.evaluated.detections.rows):
        yield "There are no detections."
        return
    least = model.evaluated.detections.rows[:, 5].min()
    if least > _LOW:
        yield (
            f"No detection has a score below {least:.2f}: what scores less was left out, so AP and recall are lower "
            "than the detector's."
        )
    if best.f1 > 0:
        yield (
            f"F1 is best at a score of {best.threshold:.2f}: {best.precision:.0%} of the detections there are right, "
            f"and {best.recall:.0%} of the objects are found (means over the classes)."
        )
    kind = max(TIDE_KINDS, key=lambda name: model.tide.cost[name])
    if model.tide.cost[kind] > 0.005:
        cost = model.tide.cost[kind]
        yield f"Most AP50 is lost by “{TIDE_KINDS[kind]}”: mending that alone would add {cost:.3f}."
    for thing, taken, times in model.confusion.most(1):
        if times > 1:
            yield f"“{thing}” is taken for “{taken}” {times} times, more often than any other class for another."
    rows = sorted((row for row in model.classes if row.objects), key=lambda row: row.ap)
    if len(rows) > 1:
        yield f"AP goes from {_of_class(rows[0])} to {_of_class(rows[-1])}."
    if model.calibration and model.calibration.ece > 0.05:
        there = ~np.isnan(model.evaluated.correct)
        promised, kept = model.evaluated.scores[there].mean(), model.evaluated.correct[there].mean()
        yield (
            f"Scores are {'too high' if promised > kept else 'too low'}: {promised:.2f} in the mean, where {kept:.0%} "
            f"of the detections are right (calibration error {model.calibration.ece:.3f})."
        )
    if without := sum(not row.objects for row in model.classes):
        yield f"{without} of {len(model.classes)} classes have no object in this truth and do not count."


def _of_class(row: ClassRow) -> str:
    return f"{row.ap:.3f} (“{row.name}”, {row.objects} {'object' if row.objects == 1 else 'objects'})"
