"""Which class is taken for which, as a matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rdet.visualization.plots.style import ACCENT, INK, PAPER, all_shortened, label_axes, new_axes

MOST_CLASSES = 24  # that can be read


def plot_confusion_matrix(
    counts: np.ndarray, classes: Sequence[str], title: str = "", most: int = MOST_CLASSES
) -> Figure:
    """Plot which class is taken for which: each row's shares of its objects.

    Args:
        counts: (K + 1, K + 1) int: objects of the row's class that were taken for the column's; the last row are false
            alarms, the last column missed objects.
        classes: K names.
        title: Of the plot.
        most: How many classes are shown: those that are confused most. That some are left out is added to the title.
    """
    counts = np.asarray(counts, dtype=np.float64)
    kept = _most_confused(counts, most)
    chosen = [*kept, len(classes)]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)[np.ix_(chosen, chosen)]
    shown = counts[np.ix_(chosen, chosen)].astype(int)
    written = all_shortened(classes)
    names = [written[i] for i in kept]
    if len(kept) < len(classes):
        title = f"{title}; {len(kept)} of {len(classes)} classes".removeprefix("; ")
    side = len(chosen)
    inches = max(3.6, 1.7 + 0.34 * side)
    wide = inches + 0.07 * max(8, *map(len, names), 0)  # names stand at the left, and aslant below
    figure, axes = new_axes(wide, inches + 0.04 * max(0, *map(len, names), 0), texts=names)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    cells = [Rectangle((j - 0.48, i - 0.48), 0.96, 0.96) for i in range(side) for j in range(side)]
    strengths = np.clip(shares, 0, 1) ** 0.7
    colors = [(*to_rgb(ACCENT), 0.04 + 0.9 * float(value)) for value in strengths.ravel()]
    axes.add_collection(PatchCollection(cells, facecolors=colors, linewidths=0))
    small = 8 if side <= 14 else 6
    for i in range(side):
        for j in range(side):
            if shown[i, j]:
                ink = PAPER if strengths[i, j] > 0.7 else INK
                axes.text(j, i, _short(shown[i, j]), ha="center", va="center", fontsize=small, color=ink)
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)
    axes.set_aspect("equal")
    turned = {"rotation": 45, "ha": "right"} if side <= 14 else {"rotation": 90}
    axes.set_xticks(range(side), [*names, "missed"], **turned)
    axes.set_yticks(range(side), [*names, "nothing there"])
    label_axes(axes, "taken for", "is")
    if title:  # above the names too, as it may be wider than the matrix
        figure.suptitle(title, x=0.02, ha="left", color=INK, fontsize=11)
    return figure


def _most_confused(counts: np.ndarray, most: int) -> list[int]:
    """Return the classes that are shown, in their order."""
    number = len(counts) - 1
    if number <= most:
        return list(range(number))
    between = counts[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    weight = between.sum(0) + between.sum(1) + 1e-6 * counts[:-1].sum(1)
    return sorted(np.argsort(-weight, kind="stable")[:most].tolist())


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.0f}k" if count >= 10000 else f"{count / 1000:.1f}k"
