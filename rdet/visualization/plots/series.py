"""Numbers over the steps of a training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from rdet.visualization.plots.style import INK, SERIES, all_shortened, label_axes, new_axes


def plot_series(
    series: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str = "",
    x: str = "step",
    size: tuple[float, float] = (7.0, 4.0),
) -> Figure:
    """Plot numbers over steps, one line each.

    Args:
        series: Name -> steps and values, (n,) each.
        title: Of the plot.
        x: What the steps are.
        size: Width and height in inches.
    """
    figure, axes = new_axes(*size, texts=series)
    names = all_shortened([*series], 40)
    for i, (name, (steps, values)) in enumerate(zip(names, series.values(), strict=True)):
        few = {"marker": "o", "markersize": 4} if len(steps) < 30 else {}
        axes.plot(steps, values, color=SERIES[i % len(SERIES)], linewidth=1.6, label=name, **few)
    if series:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    label_axes(axes, x, title=title)
    return figure
