"""What the boxes of a data set are like."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rdet.visualization.fonts import families_for
from rdet.visualization.plots.style import INK, MUTED, SERIES, all_shortened, bare, label_axes

_MOST_CLASSES = 24
_SIDES = [2**i for i in range(14)]
_SMALL, _LARGE = 32, 96  # sides of the squares that divide COCO's small, medium and large


def plot_labels(
    counts: Mapping[str, Mapping[str, int]], sizes: Mapping[str, np.ndarray], centres: Mapping[str, np.ndarray]
) -> Figure:
    """Plot boxes by class and split, their sizes, their shapes and where they are.

    Args:
        counts: Split -> class -> number of boxes; all have the same classes.
        sizes: Split -> (n, 2) width and height in pixels.
        centres: Split -> (n, 2) x and y as shares of the image's.
    """
    names = list(next(iter(counts.values())))
    shown = sorted(names, key=lambda name: -sum(of[name] for of in counts.values()))[:_MOST_CLASSES]
    figure = Figure(figsize=(11, max(7.0, 3.6 + 0.26 * len(shown))), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[max(1.0, 0.085 * len(shown)), 1])
    families = families_for(shown)
    axes = [figure.add_subplot(place) for place in grid]
    for one in axes:
        bare(one, families)
    title = f"boxes of the {len(shown)} most frequent of {len(names)} classes" if len(shown) < len(names) else "boxes"
    _bars(axes[0], counts, shown, title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", frameon=False, ncols=len(counts))
    _places(axes[1], np.concatenate(list(centres.values())))
    sides = {split: np.sqrt(np.maximum(of.prod(axis=1), 1e-6)) for split, of in sizes.items()}
    _histogram(axes[2], sides, _rounded(sides), "size: root of the area, in pixels of the original images")
    axes[2].set_xticks([side for side in _SIDES if axes[2].get_xlim()[0] <= side <= axes[2].get_xlim()[1]])
    for side in (_SMALL, _LARGE):
        axes[2].axvline(side, color=MUTED, linewidth=0.8, linestyle=":")
    shapes = {split: of[:, 0] / np.maximum(of[:, 1], 1e-6) for split, of in sizes.items()}
    edges = 2.0 ** np.linspace(-3, 3, 1 + 6 * max(2, _bins(shapes) // 6))
    clipped = {split: values.clip(edges[0], edges[-1]) for split, values in shapes.items()}
    _histogram(axes[3], clipped, edges, "shape: width / height")
    axes[3].set_xticks([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], ["1:8", "1:4", "1:2", "1:1", "2:1", "4:1", "8:1"])
    return figure


def _bars(axes: Axes, counts: Mapping[str, Mapping[str, int]], names: Sequence[str], title: str) -> None:
    thick = 0.8 / len(counts)
    axes.grid(axis="y", visible=False)
    most = max([1, *(of[name] for of in counts.values() for name in names)])
    for number, ((split, of), color) in enumerate(zip(counts.items(), SERIES, strict=False)):
        places = [i + (number - (len(counts) - 1) / 2) * thick for i in range(len(names))]
        values = [of[name] for name in names]
        drawn = axes.barh(places, values, thick * 0.9, color=color, label=f"{split} {sum(of.values())}")
        axes.bar_label(drawn, [str(value) for value in values], padding=3, fontsize=7.5, color=INK)
    axes.set_xlim(0, 1.15 * most)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    written = dict(zip(next(iter(counts.values())), all_shortened([*next(iter(counts.values()))]), strict=True))
    axes.set_yticks(range(len(names)), [written[name] for name in names])
    axes.tick_params(axis="y", colors=INK)
    axes.invert_yaxis()
    label_axes(axes, title=title)


def _places(axes: Axes, centres: np.ndarray) -> None:
    axes.grid(False)
    axes.hist2d(centres[:, 0].clip(0, 1), centres[:, 1].clip(0, 1), bins=40, range=[[0, 1], [0, 1]], cmap="Blues")
    axes.invert_yaxis()
    axes.set_aspect("equal")
    label_axes(axes, "share of the width", "share of the height", "centres")


def _rounded(sides: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return edges of bins from the smallest to the largest side, each by the same factor wider than the last."""
    values = np.concatenate(list(sides.values()))
    low, high = (values.min(), values.max()) if len(values) else (1.0, 100.0)
    return np.geomspace(max(0.5, low * 0.95), max(1.0, high * 1.05), 1 + _bins(sides))


def _bins(values: Mapping[str, np.ndarray]) -> int:
    """Return how many bins the smallest split fills: twice the root of its boxes, 40 at most."""
    least = min((len(of) for of in values.values() if len(of)), default=0)
    return int(np.clip(2 * math.sqrt(least), 6, 40))


def _histogram(axes: Axes, values: Mapping[str, np.ndarray], edges: np.ndarray, title: str) -> None:
    """Plot how the boxes of each split are shared among bins, so that splits of unlike sizes can be compared."""
    axes.set_xscale("log")
    for (split, of), color in zip(values.items(), SERIES, strict=False):
        if len(of):
            weights = np.full(len(of), 100 / len(of))
            axes.hist(of, edges, weights=weights, histtype="step", linewidth=1.6, color=color, label=split)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    label_axes(axes, y="% of the boxes", title=title)
