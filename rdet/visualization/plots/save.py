"""Plots as files."""

import warnings
from pathlib import Path

from matplotlib.figure import Figure

from rdet.files import write_whole, writing


def save_plot(path: str | Path, figure: Figure, dpi: int = 150) -> None:
    """Write a figure as a whole or not at all; the suffix says the format, and the folder is made.

    Args:
        path: The picture, ``.png``, ``.svg`` or ``.pdf``.
        figure: From ``rdet.visualization.plots``.
        dpi: Pixels an inch.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # was said in one line when it was drawn
        kind = path.suffix[1:].lower() or "png"
        write_whole(path, lambda part: figure.savefig(part, format=kind, dpi=dpi), flush=False)
