"""What all plots share: colours, fonts, bare axes."""

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

INK, MUTED, GRID, PAPER, ACCENT = "#1b2430", "#66738a", "#dfe4ec", "#ffffff", "#2f6bde"
# Told apart by the colour-blind too: after Okabe and Ito, "Color Universal Design", 2008; the first two are those of
# two detectors.
SERIES = (ACCENT, "#d9730d", "#0f9d78", "#b0438f", "#8a6d00", "#2596be", "#c43d3d", "#6b58c9", "#5d7f1e", "#7a5c45")
# Families with many scripts, as systems call them, in the order of trial.
_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "SimHei",
    "Arial Unicode MS",
    "Noto Sans",
    "Unifont",
)
NO_FONT = "plots show boxes, as no font is installed that has"


def new_axes(width: float, height: float, texts: Iterable[str] = ()) -> tuple[Figure, Axes]:
    """Make a figure with one plot, without pyplot's list of open figures.

    Args:
        width: In inches, as ``height``.
        height: In inches.
        texts: Names that it will show. What the font lacks is taken from others that are installed, or warned of.
    """
    families = fonts_for(texts)
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


def fonts_for(texts: Iterable[str]) -> list[str]:
    """Return families that together have all characters of texts, as far as they are installed.

    Warns in one line of characters that no known family has: they are drawn as boxes.
    """
    families = ["DejaVu Sans"]
    missing = {ord(c) for text in texts for c in text if c.isprintable()} - _characters(families[0])
    for family in _WIDE_FONTS if missing else ():
        if found := missing & _characters(family):
            families.append(family)
            missing -= found
    if lacking := "".join(map(chr, sorted(missing)))[:20]:
        warnings.warn(f"{NO_FONT} {lacking!r}; install one, for example the package fonts-noto-cjk", stacklevel=3)
    return families


@lru_cache
def _characters(family: str) -> frozenset[int]:
    """Return the characters that a family has; none if it is not installed."""
    entry = next((font for font in font_manager.fontManager.ttflist if font.name == family), None)
    return frozenset(FT2Font(entry.fname).get_charmap()) if entry else frozenset()


def shortened(name: str, longest: int = 24) -> str:
    """Cut a long name in its middle, and keep matplotlib from reading formulas in it."""
    if len(name) > longest:
        half = (longest - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return name.replace("$", r"\$")
