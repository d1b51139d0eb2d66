"""Bars: what each of a few kinds adds, for one detector or several."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from rdet.visualization.plots.style import INK, SERIES, all_shortened, label_axes, new_axes


def plot_bars(
    values: Mapping[str, Mapping[str, float]], label: str = "", title: str = "", size: tuple[float, float] | None = None
) -> Figure:
    """Plot horizontal bars, with the value at the end of each.

    Args:
        values: Name of a detector -> name of a bar -> its length; all have the same bars.
        label: Of the lengths.
        title: Of the plot.
        size: Width and height in inches; None: what the bars need.
    """
    kinds = list(next(iter(values.values())))
    thick = 0.7 / len(values)
    figure, axes = new_axes(*(size or (6.4, 0.9 + len(kinds) * (0.3 + 0.14 * len(values)))), texts=[*values, *kinds])
    axes.grid(axis="y", visible=False)
    names = all_shortened([*values], 32)
    for number, (name, bars, color) in enumerate(zip(names, values.values(), SERIES, strict=False)):
        places = [i + (number - (len(values) - 1) / 2) * thick for i in range(len(kinds))]
        drawn = axes.barh(places, [bars[kind] for kind in kinds], thick * 0.9, color=color, label=name)
        axes.bar_label(drawn, [f"{bars[kind]:.3f}" for kind in kinds], padding=4, fontsize=8.5, color=INK)
    axes.set_yticks(range(len(kinds)), all_shortened(kinds, 40))
    axes.invert_yaxis()
    axes.tick_params(axis="y", colors=INK)
    top = max((value for bars in values.values() for value in bars.values()), default=0)
    axes.set_xlim(min(0, min(v for bars in values.values() for v in bars.values())), max(top, 0.01) * 1.14)
    if len(values) > 1:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    label_axes(axes, label, title=title)
    return figure
