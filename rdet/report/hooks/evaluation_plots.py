"""Plots of what an evaluation judged. Imports what draws, so it is imported when something is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rdet.analysis.detections.classes import class_rows
from rdet.analysis.detections.curves import score_curves
from rdet.analysis.detections.evaluated import Evaluated
from rdet.analysis.detections.mistakes import confusion
from rdet.analysis.detections.results import Detections
from rdet.analysis.detections.truth import Truth
from rdet.evaluation.coco_eval import as_rows
from rdet.report.figures import precision_recall_figure
from rdet.visualization.fonts import writable_names
from rdet.visualization.plots import plot_confusion_matrix
from rdet.visualization.plots.save import save_plot


def draw_evaluation(folder: Path, truth: dict, detections: dict[int | str, np.ndarray], max_dets: int) -> None:
    """Write ``pr_curves.png`` and ``confusion_matrix.png``.

    Args:
        folder: Where to.
        truth: A COCO dict.
        detections: Image id -> (n, 6) of ``x, y, width, height, score, category_id``.
        max_dets: How many of an image and a class count.
    """
    judge = Truth(truth, {}, "the data set")
    boxes = as_rows(detections, judge.image_numbers, judge.category_numbers)
    evaluated = Evaluated("", judge, Detections(boxes), max_dets)
    curves = score_curves(evaluated)
    best = curves.best()
    threshold = best.threshold if np.isfinite(best.threshold) else 1.0
    title = "precision over recall at an IoU of 0.5, and AP50"
    names = writable_names(judge.classes)
    rows = [replace(row, name=name) for row, name in zip(class_rows(evaluated, curves), names, strict=True)]
    save_plot(folder / "pr_curves.png", precision_recall_figure(evaluated, rows, title), dpi=110)
    found = confusion(evaluated, threshold)
    title = f"detections of a score of {threshold:.2g} or more"
    save_plot(folder / "confusion_matrix.png", plot_confusion_matrix(found.counts, names, title), dpi=110)
