"""Whether scores keep what they promise."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from rdet.visualization.plots.style import INK, MUTED, SERIES, all_shortened, label_axes, new_axes


def plot_reliability(
    models: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "", size: tuple[float, float] = (5.2, 4.2)
) -> Figure:
    """Plot the share of detections that are right over their score; on the diagonal, a score is that share.

    Args:
        models: Name -> mean score and share of each bin, (B,) each; nan for an empty bin.
        title: Of the plot.
        size: Width and height in inches.
    """
    figure, axes = new_axes(*size, texts=models)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 4)))
    names = all_shortened([*models], 32)
    for name, (scores, shares), color in zip(names, models.values(), SERIES, strict=False):
        there = ~np.isnan(shares)
        label = name if len(models) > 1 else None
        axes.plot(scores[there], shares[there], "o-", color=color, linewidth=2, markersize=5, label=label)
        if len(models) == 1:
            axes.vlines(scores[there], scores[there], shares[there], color=color, linewidth=5, alpha=0.22)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_aspect("equal")
    if len(models) > 1:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    label_axes(axes, "score", "share that is right", title)
    return figure
