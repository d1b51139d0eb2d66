"""Dots: what each of a few repeats gave, for one detector a line, and intervals."""

from collections.abc import Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rdet.visualization.plots.style import ACCENT, INK, MUTED, SERIES, all_shortened, label_axes, new_axes

_WORSE = SERIES[1]
_LONGEST = 44  # characters of a name


def plot_dots(values: Mapping[str, Sequence[float]], label: str = "", title: str = "") -> Figure:
    """Plot each repeat as a dot and their mean as a line; the first name's mean goes through all lines.

    Args:
        values: Name -> a number of each repeat; none for what failed.
        label: Of the numbers.
        title: Of the plot.
    """
    figure, axes = _lines(values, label, title)
    for place, numbers in enumerate(values.values()):
        if numbers:
            mean = sum(numbers) / len(numbers)
            axes.plot([mean, mean], [place - 0.28, place + 0.28], color=INK, linewidth=2)
            axes.plot(numbers, [place] * len(numbers), "o", color=ACCENT, markersize=6, alpha=0.65, markeredgewidth=0)
            if place == 0:
                axes.axvline(mean, color=MUTED, linewidth=1, linestyle=(0, (4, 4)))
    return figure


def plot_intervals(
    values: Mapping[str, tuple[float, tuple[float, float] | None, bool]], label: str = "", title: str = ""
) -> Figure:
    """Plot differences with their intervals beside 0.

    Args:
        values: Name -> difference, its interval if it is known, and whether it is more than chance: others are grey.
        label: Of the differences.
        title: Of the plot.
    """
    figure, axes = _lines(values, label, title)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 4)))
    for place, (mean, interval, shown) in enumerate(values.values()):
        color = MUTED if not shown else ACCENT if mean > 0 else _WORSE
        if interval is not None:
            axes.plot(interval, [place, place], color=color, linewidth=2.2, solid_capstyle="butt", zorder=2)
        axes.plot([mean], [place], "o", color=color, markersize=6.5, zorder=3)
    _cut(axes, [0.0, *(mean for mean, _, _ in values.values())], [one[1] for one in values.values() if one[1]])
    return figure


def _lines(names: Mapping[str, object], label: str, title: str) -> tuple[Figure, Axes]:
    texts = all_shortened([*names], _LONGEST)
    figure, axes = new_axes(6.8, 0.9 + 0.3 * max(1, len(texts)), texts=texts)
    axes.grid(axis="y", visible=False)
    axes.set_yticks(range(len(texts)), texts)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.tick_params(axis="y", colors=INK)
    label_axes(axes, label, title=title)
    return figure, axes


def _cut(axes: Axes, means: Sequence[float], intervals: Sequence[tuple[float, float]]) -> None:
    """Show all differences and, of intervals that are much longer than most, as much as leaves these apart."""
    usual = median(high - low for low, high in intervals) if intervals else 0.0
    reach = max(1.5 * usual, 0.3 * (max(means) - min(means)), 1e-3)
    low = max(min(means) - reach, min([*means, *(low for low, _ in intervals)]))
    high = min(max(means) + reach, max([*means, *(high for _, high in intervals)]))
    margin = 0.04 * (high - low) or 0.01
    axes.set_xlim(low - margin, high + margin)
