"""Points: one number of each detector over another."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from rdet.visualization.plots.style import INK, MUTED, SERIES, all_shortened, label_axes, new_axes


def plot_scatter(points: Mapping[str, tuple[float, float]], labels: tuple[str, str], title: str = "") -> Figure:
    """Plot a point for each name, the first as a ring.

    Up to ten are told apart by their colours; of more, each has its number in the order of the names, from 0.

    Args:
        points: Name -> x and y.
        labels: Of the axes.
        title: Of the plot.
    """
    few = len(points) <= len(SERIES)
    figure, axes = new_axes(6.4, 3.8, texts=points)
    names = all_shortened([*points], 32)
    for number, (name, (x, y)) in enumerate(zip(names, points.values(), strict=True)):
        color = SERIES[number] if few else SERIES[0]
        label = name if few else None
        face = "none" if number == 0 else color
        axes.plot(
            [x], [y], "o", color=color, markerfacecolor=face, markersize=8, markeredgewidth=2, alpha=0.9, label=label
        )
        if not few:
            axes.annotate(str(number), (x, y), (5, 4), textcoords="offset points", fontsize=8, color=INK)
    axes.margins(0.1)
    low, high = axes.get_xlim()
    if high - low < 0.05 * abs(high):  # costs that are equal but for the noise of a clock
        axes.set_xlim(low - 0.05 * abs(high), high + 0.05 * abs(high))
    if few:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    axes.tick_params(colors=MUTED)
    label_axes(axes, *labels, title=title)
    return figure
