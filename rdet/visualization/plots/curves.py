"""Curves: precision over recall, F1 over the threshold, and their kin."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from rdet.visualization.plots.style import ACCENT, INK, MUTED, SERIES, all_shortened, label_axes, new_axes, shortened

MOST_NAMED = 10  # curves that have a colour and a name of their own


def plot_curves(
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    mean: Mapping[str, np.ndarray] | np.ndarray | None = None,
    labels: tuple[str, str] = ("recall", "precision"),
    title: str = "",
    mark: Mapping[str, tuple[float, float]] | None = None,
    size: tuple[float, float] = (6.4, 4.2),
) -> Figure:
    """Plot one curve for each class, and their mean.

    Of more than ten classes, each is a faint line, and the mean alone has a name.

    Args:
        x: (S,) of 0..1.
        curves: Name of a class -> (S,) of 0..1; nan leaves a gap.
        mean: (S,), or name -> (S,) of several; drawn thick. None: the mean over ``curves``.
        labels: Of the axes.
        title: Of the plot.
        mark: What to call a point -> where it is.
        size: Width and height in inches.
    """
    names = [*curves, *(mean if isinstance(mean, Mapping) else ()), *(mark or ())]
    figure, axes = new_axes(*size, texts=names)
    few = len(curves) <= MOST_NAMED
    colors = SERIES if few else [MUTED] * len(curves)
    for name, y, color in zip(all_shortened([*curves]), curves.values(), colors, strict=False):
        label = name if few and len(curves) > 1 else None
        style = {"linewidth": 1.3} if few else {"linewidth": 0.7, "alpha": 0.28}
        axes.plot(x, y, color=color, label=label, **style)
    if mean is None and curves:
        mean = mean_of(np.stack(list(curves.values())))
    if not isinstance(mean, Mapping):
        mean = {} if mean is None else {"mean": mean}
    own = [ACCENT, SERIES[1]] if not curves or not few else [INK, MUTED]
    for (name, y), color in zip(mean.items(), own, strict=False):
        axes.plot(x, y, color=color, linewidth=2.4, label=shortened(name, 32))
    for (name, (at, value)), color in zip((mark or {}).items(), own, strict=False):
        axes.plot([at], [value], "o", color=color, markersize=6, label=shortened(name, 32))
    axes.set_xlim(min(0, x.min(initial=0)), max(1, x.max(initial=1)))
    axes.set_ylim(0, 1.02)
    if len(axes.get_legend_handles_labels()[0]):
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK, prop=_font(axes))
    label_axes(axes, *labels, title=title)
    return figure


def mean_of(curves: np.ndarray) -> np.ndarray:
    """Return the mean of curves (K, S) over those that are there: nan where none is."""
    known = ~np.isnan(curves)
    total = np.where(known, curves, 0).sum(0)
    return np.divide(total, known.sum(0), out=np.full(total.shape, np.nan), where=known.any(0))


def _font(axes) -> dict[str, object]:
    return {"family": axes.xaxis.get_tick_params().get("labelfontfamily"), "size": 9}
