"""Text in pictures."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from rdet.visualization.colors import BLACK, WHITE, Color
from rdet.visualization.fonts import font, runs

_PAPER, _INK = (245, 245, 245), (40, 40, 40)


@lru_cache(maxsize=4096)
def text_extent(text: str, size: int) -> tuple[int, int]:
    """Return the width and height in pixels that a text takes, with a little air around it."""
    width = sum(font(path, size).getlength(piece) for piece, path in runs(text))
    return round(width) + 2 * _air(size), line_height(size)


def line_height(size: int) -> int:
    """Return the height in pixels of a line of letters of a size."""
    return round(1.3 * size) + 1


def plate(text: str, size: int, paper: Color = BLACK, ink: Color = WHITE) -> np.ndarray:
    """Write a text on a plate.

    Returns:
        (h, w, 3) uint8, as large as :func:`text_extent` says.
    """
    canvas = Image.new("RGB", text_extent(text, size), paper)
    _write(ImageDraw.Draw(canvas), (0, 0), text, size, ink)
    return np.asarray(canvas)


def shortened(text: str, size: int, width: int) -> str:
    """Cut a text so that it is at most ``width`` pixels wide; a number at its end, such as a score, stays."""
    if text_extent(text, size)[0] <= width:
        return text
    head, _, tail = text.rpartition(" ")
    if head and tail.replace(".", "", 1).isdecimal():
        head = shortened(head, size, width - text_extent(f" {tail}", size)[0])
        return f"{head} {tail}" if head else ""
    low, high = 0, len(text)
    while low < high:  # the most letters that fit
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_extent(f"{text[:middle]}…", size)[0] <= width else (low, middle - 1)
    return f"{text[:low].rstrip()}…" if low else ""


def strip(text: str, width: int, size: int, paper: Color = _PAPER, ink: Color = _INK) -> np.ndarray:
    """Make a strip of paper with a text on it, in as many lines as it takes.

    Returns:
        (h, width, 3) uint8.
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_extent(longer, size)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(shortened(word, size, width))
    canvas = Image.new("RGB", (width, max(1, len(lines)) * line_height(size) + 2 * _air(size)), paper)
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        _write(draw, (0, _air(size) + number * line_height(size)), line, size, ink)
    return np.array(canvas)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, size: int, ink: Color) -> None:
    x, baseline = corner[0] + _air(size), corner[1] + round(1.02 * size)
    for piece, path in runs(text):
        letters = font(path, size)
        draw.text((x, baseline), piece, fill=ink, font=letters, anchor="ls")
        x += letters.getlength(piece)


def _air(size: int) -> int:
    return max(2, round(size / 5))
