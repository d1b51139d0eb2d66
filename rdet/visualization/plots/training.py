"""Losses, rate and metrics of a training, over its iterations."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rdet.visualization.plots.style import ACCENT, INK, SERIES, bare, label_axes

_RATES = ("lr", "base_lr")
_LEFT_OUT = ("time", "data_time", "compute_time", "memory", "grad_norm", *_RATES, "epoch", "iter")
_IN_A_ROW = 3
_VAL = "val/"  # how the losses of the data of an evaluation begin
# Metrics that belong into one plot, by the end of their names.
_GROUPS = (
    ("AP", ("_mAP", "_mAP_50", "_mAP_75")),
    ("AP of small, medium and large objects", ("_mAP_s", "_mAP_m", "_mAP_l")),
)


def plot_training(rows: Sequence[Mapping[str, float | None]]) -> Figure:
    """Plot each loss, of training and of evaluation beside each other, the learning rate and the metrics.

    Args:
        rows: Of ``results.csv``: ``iter``, and what was logged then. A metric of -1, for which there was no object, is
            left out.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if "/" not in name and name not in _LEFT_OUT]
    val_losses = [f"{_VAL}{name}" for name in losses if f"{_VAL}{name}" in names]
    metrics = [name for name in names if "/" in name and name not in val_losses]
    panels: list[tuple[str, list[str]]] = [
        (name, [name, *(val for val in val_losses if val == f"{_VAL}{name}")]) for name in losses
    ]
    panels += [("learning rate", [name]) for name in _RATES[:1] if name in names]
    for title, ends in _GROUPS:
        if found := [name for name in metrics if name.endswith(ends) and _points(rows, name)]:
            panels.append((title, found))
    if not any(title == "AP" for title, _ in panels):  # an evaluation by another rule
        panels += [(name, [name]) for name in metrics if _points(rows, name)]
    columns = min(_IN_A_ROW, max(1, len(panels)))
    lines = math.ceil(max(1, len(panels)) / columns)
    figure = Figure(figsize=(4.4 * columns, 3.0 * lines), layout="constrained")
    steps = [float(row["iter"] or 0) for row in rows]
    for place, (title, series) in enumerate(panels, start=1):
        axes = figure.add_subplot(lines, columns, place)
        _plot(axes, rows, title, series)
        low, high = min(steps), max(steps)
        axes.set_xlim(low - 0.05 * (high - low) - 0.5, high + 0.08 * (high - low) + 0.5)  # the same in all
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    return figure


def _plot(axes: Axes, rows: Sequence[Mapping[str, float | None]], title: str, series: Sequence[str]) -> None:
    bare(axes)
    axes.ticklabel_format(axis="y", useOffset=False)
    for name, color in zip(series, SERIES, strict=False):
        x, y = zip(*(_points(rows, name) or [(0.0, math.nan)]), strict=True)
        marker = "o" if "/" in name else None  # one of each evaluation
        axes.plot(x, y, color=color, linewidth=1.6, marker=marker, markersize=3, label=_short(name))
        if "/" in name and name is series[0]:
            rule = min if "loss" in name.lower() else max  # as CheckpointHook has it
            best = rule(range(len(y)), key=y.__getitem__)
            axes.annotate(
                f"best {y[best]:.3f}", (x[best], y[best]), (0, 6), textcoords="offset points", ha="center", fontsize=8,
                color=INK,
            )  # fmt: skip
            axes.plot(x[best], y[best], "o", color=ACCENT, markersize=6)
    if "/" in series[0]:
        axes.margins(y=0.15)
        axes.set_ylim(bottom=0)
    if "/" in series[-1]:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    label_axes(axes, "iteration", title=title)


def _points(rows: Sequence[Mapping[str, float | None]], name: str) -> list[tuple[float, float]]:
    points = [(float(row["iter"] or 0), row.get(name)) for row in rows]
    is_metric = "/" in name and not name.startswith(_VAL)
    return [(x, y) for x, y in points if y is not None and math.isfinite(y) and not (is_metric and y < 0)]


def _short(name: str) -> str:
    if "/" not in name:
        return "training"
    if name.startswith(_VAL):
        return "evaluation"
    return name.rpartition("/")[2].removeprefix("bbox_").replace("mAP", "AP")
