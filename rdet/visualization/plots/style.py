"""What all plots share: colours, fonts, bare axes."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rdet.visualization.fonts import families_for
from rdet.visualization.names import told_apart

INK, MUTED, GRID, PAPER, ACCENT = "#1b2430", "#66738a", "#dfe4ec", "#ffffff", "#2f6bde"
# Told apart by the colour-blind too: after Okabe and Ito, "Color Universal Design", 2008; the first two are those of
# two detectors.
SERIES = (ACCENT, "#d9730d", "#0f9d78", "#b0438f", "#8a6d00", "#2596be", "#c43d3d", "#6b58c9", "#5d7f1e", "#7a5c45")


def new_axes(width: float, height: float, texts: Iterable[str] = ()) -> tuple[Figure, Axes]:
    """Make a figure with one plot, without pyplot's list of open figures.

    Args:
        width: In inches, as ``height``.
        height: In inches.
        texts: Names that it will show. What the font lacks is taken from others that are installed, or warned of.
    """
    families = families_for(texts)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    bare(axes, families)
    return figure, axes


def bare(axes: Axes, families: Sequence[str] = ("DejaVu Sans",)) -> None:
    """Take from a plot what is not needed to read it, and write its ticks in fonts of these families."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, labelfontfamily=[*families])
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Name the axes and the plot; the title stands at the left."""
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)
    if title:
        axes.set_title(title, color=INK, fontsize=11, loc="left")


def shortened(name: str, longest: int = 24) -> str:
    """Cut a long name in its middle, and keep matplotlib from reading formulas in it."""
    return all_shortened([name], longest)[0]


def all_shortened(names: Sequence[str], longest: int = 24) -> list[str]:
    """Cut long names as :func:`shortened` does, and so that they still differ."""
    return [name.replace("$", r"\$") for name in told_apart(names, longest)]
