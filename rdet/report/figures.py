"""Figures of one evaluation, which a page shows and a run leaves in its work dir."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rdet.analysis.detections.classes import ClassRow
from rdet.analysis.detections.curves import precision_at_recall
from rdet.analysis.detections.evaluated import Evaluated
from rdet.visualization.plots import plot_curves
from rdet.visualization.plots.curves import mean_of


def precision_recall_figure(evaluated: Evaluated, rows: Sequence[ClassRow], title: str = "") -> Figure:
    """Plot precision over recall of each class that has objects, with its AP50, and their mean.

    Args:
        evaluated: The detections.
        rows: One for each class, in the truth's order.
        title: Of the plot.
    """
    recalls, precision = precision_at_recall(evaluated)
    named = {f"{row.name} {row.ap50:.2f}": precision[:, i] for i, row in enumerate(rows) if row.objects}
    if len(named) < 2:  # a class alone is its mean
        return plot_curves(recalls, named, named, title=title)
    mean = sum(row.ap50 for row in rows if row.objects) / len(named)
    return plot_curves(recalls, named, {f"mean {mean:.2f}": mean_of(np.stack([*named.values()]))}, title=title)
