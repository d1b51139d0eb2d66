"""Which mistakes there are: TIDE's six kinds, classes that are taken for each other, scores that promise too much."""

from dataclasses import dataclass

import numpy as np

from rdet.analysis.detections.evaluated import IOU, Evaluated

# TIDE's names of its kinds (Bolya et al., ECCV 2020), and what they are called here.
TIDE_KINDS = {
    "Cls": "wrong class",
    "Loc": "poor box",
    "Both": "wrong class and poor box",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}


@dataclass(frozen=True)
class TideErrors:
    """What each kind of mistake costs.

    Attributes:
        ap50: AP at IoU 0.5.
        cost: Kind -> how much AP at IoU 0.5 rises if all mistakes of the kind alone are mended; also ``FP`` and ``FN``,
            all false positives and all missed objects.
        counts: Kind -> how many there are.
    """

    ap50: float
    cost: dict[str, float]
    counts: dict[str, int]


@dataclass(frozen=True)
class Confusion:
    """Which class is taken for which.

    Attributes:
        classes: Names of the K classes.
        counts: (K + 1, K + 1) int64: objects of the row's class that a detection of the column's class covers. The last
            row are false alarms, the last column missed objects.
        threshold: Detections of at least this score count.
    """

    classes: list[str]
    counts: np.ndarray
    threshold: float

    def most(self, number: int = 12) -> list[tuple[str, str, int]]:
        """List the classes that are most often taken for another: class, what it is taken for, how often."""
        counts = self.counts[:-1, :-1].copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:number]
        pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
        return [(self.classes[i], self.classes[j], int(counts[i, j])) for i, j in pairs if counts[i, j]]


@dataclass(frozen=True)
class Calibration:
    """Whether scores are the shares of detections that are right.

    Attributes:
        ece: Expected calibration error: mean distance of score and share, weighted by the detections of the bins.
        mce: The largest distance of a bin.
        scores: Mean score of each bin, (10,); nan for an empty bin.
        shares: Share of its detections that are right, (10,); nan for an empty bin.
        counts: Number of detections, (10,).
    """

    ece: float
    mce: float
    scores: np.ndarray
    shares: np.ndarray
    counts: np.ndarray


def tide_errors(evaluated: Evaluated) -> TideErrors:
    """Sort the mistakes into TIDE's kinds; right is an IoU of 0.5, background one below 0.1."""
    found = evaluated.evaluation.tide_errors(pos_thr=IOU, bg_thr=0.1)
    return TideErrors(found["ap_base"], found["delta_ap"], found["counts"])


def confusion(evaluated: Evaluated, threshold: float, iou: float = IOU) -> Confusion:
    """Count which class is taken for which by the detections of at least a score and an IoU."""
    found = evaluated.evaluation.confusion_matrix(iou_thr=iou, max_det=None, min_score=threshold)
    return Confusion(evaluated.truth.classes, np.asarray(found["matrix"]).astype(np.int64), threshold)


def calibration(evaluated: Evaluated) -> Calibration | None:
    """Compare scores with the shares of detections that are right; None if scores are not between 0 and 1."""
    scores = evaluated.scores
    if len(scores) == 0 or scores.min() < 0 or scores.max() > 1:
        return None
    found = evaluated.evaluation.calibration(n_bins=10, iou_threshold=IOU)
    counts = np.array([one["count"] for one in found["bins"]])

    def column(key: str) -> np.ndarray:
        return np.where(counts > 0, [one[key] for one in found["bins"]], np.nan)

    return Calibration(found["ece"], found["mce"], column("avg_confidence"), column("avg_accuracy"), counts)
