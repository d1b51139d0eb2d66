"""Precision, recall and F1 over recall and over the threshold of the score, at an IoU of 0.5."""

import warnings
from dataclasses import dataclass

import numpy as np

from rdet.analysis.detections.evaluated import Evaluated


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold of the score gives.

    Attributes:
        threshold: Detections of at least this score count.
        precision: Share of them that are right; nan if there are none.
        recall: Share of the objects that are found; nan if there are none.
        f1: Harmonic mean of the two.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ScoreCurves:
    """How precision, recall and F1 change with the threshold.

    Attributes:
        thresholds: (S,), rising.
        precision: (K, S); nan where no detection is left.
        recall: (K, S); nan of a class without objects.
        f1: (K, S); nan of a class without objects.
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def mean_f1(self) -> np.ndarray:
        """The mean over the classes that have objects, (S,)."""
        return _mean(self.f1)

    def best(self, label: int | None = None) -> OperatingPoint:
        """Return the lowest threshold of the best F1: of a class, or of the mean over the classes."""
        f1 = self.mean_f1 if label is None else self.f1[label]
        if np.isnan(f1).all():
            return OperatingPoint(float("nan"), float("nan"), float("nan"), float("nan"))
        at = int(np.nanargmax(f1))
        if label is None:
            point = (_mean(self.precision[:, at : at + 1]), _mean(self.recall[:, at : at + 1]))
        else:
            point = (self.precision[label, at : at + 1], self.recall[label, at : at + 1])
        return OperatingPoint(float(self.thresholds[at]), *(float(value[0]) for value in point), float(f1[at]))


def score_curves(evaluated: Evaluated, steps: int = 1001) -> ScoreCurves:
    """Compute precision, recall and F1 of each class at evenly spaced thresholds.

    A detection is right or wrong whatever detections of lower scores there are, so that one matching serves all
    thresholds.

    Args:
        evaluated: The detections.
        steps: S. They go from 0 to 1, or to the highest and lowest score where scores are outside of that.
    """
    scores, labels, correct = evaluated.scores, evaluated.labels, evaluated.correct
    low, high = min(0.0, scores.min(initial=0.0)), max(1.0, scores.max(initial=1.0))
    thresholds = np.linspace(low, high, steps)
    shape = (len(evaluated.truth.classes), steps)
    right, found = np.zeros(shape), np.zeros(shape)
    for label in range(shape[0]):
        of_class = (labels == label) & ~np.isnan(correct)
        order = np.argsort(scores[of_class])
        rising, ones = scores[of_class][order], correct[of_class][order]
        # Of each threshold, how many detections are below it.
        below = np.searchsorted(rising, thresholds, side="left")
        right[label] = ones.sum() - np.concatenate([[0.0], np.cumsum(ones)])[below]
        found[label] = len(rising) - below
    objects = evaluated.objects[:, None].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = right / found, right / objects
        f1 = np.where(objects > 0, 2 * right / (found + objects), np.nan)
    return ScoreCurves(thresholds, precision, recall, f1)


def precision_at_recall(evaluated: Evaluated) -> tuple[np.ndarray, np.ndarray]:
    """Return 101 recalls (R,) and the precision of each class there, (R, K), as COCO interpolates it; nan: no truth."""
    return np.linspace(0, 1, 101), evaluated.precision[0, :, :, 0, -1]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis, of what is a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that all are nan: so is the mean
        return np.nanmean(values, axis=0)
