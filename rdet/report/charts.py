"""Figures as part of a page: SVG whose colours and fonts are the page's."""

import io
import re
import warnings
from itertools import count

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from rdet.visualization.plots.style import GRID, INK, MUTED, PAPER, SERIES

# A colour of the figures -> the property of the page that has it, for light and for dark viewers.
_COLORS = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    PAPER: "--card",
    **{color: f"--s{i}" for i, color in enumerate(SERIES)},
}
_numbers = count()


def chart(figure: Figure, label: str) -> Markup:
    """Draw a figure as SVG that can stand in a page beside others.

    Args:
        figure: From ``rdet.visualization.plots``.
        label: What it shows, for those who cannot see it.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rdet"}), warnings.catch_warnings():
        # Text stays text, which the viewer has fonts for.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>|<defs>\s*</defs>", "", svg, flags=re.DOTALL)
    prefix = f"c{next(_numbers)}-"  # no two elements of a page have the same id
    svg = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', prefix, svg)
    for color, name in _COLORS.items():
        svg = svg.replace(color, f"var({name})")
    width = 1.35 * 72 * figure.get_figwidth()
    head = f'<svg class="chart" role="img" aria-label="{escape(label)}" style="max-width:{width:.0f}px"'
    return Markup(re.sub(r'<svg\b(?:\s+(?:width|height|version|xmlns[:\w]*)="[^"]*")*', head, svg, count=1).strip())
