"""A page of pictures in one file, without network and scripts, in the frame of all reports."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rdet.report.rendering import templates
from rdet.visualization.colors import class_color, ink_on


@dataclass(frozen=True)
class _Options:
    title: str


@dataclass(frozen=True)
class _Picture:
    caption: str
    width: int
    height: int
    jpeg: str  # base64


def picture_page(
    title: str,
    notes: Sequence[str],
    classes: Sequence[str],
    pictures: Iterable[tuple[str, np.ndarray]],
    bad: Sequence[str] = (),
    tables: Sequence[str] = (),
    width: int = 320,
) -> str:
    """Write a page in which each picture is enlarged when it is chosen.

    Args:
        title: Of the page.
        notes: What is said above the pictures, a line each.
        classes: Names of the colours' key.
        pictures: Captions and (H, W, 3) uint8 pictures.
        bad: What is wrong with images that are not shown.
        tables: Of letters, as a terminal shows them.
        width: Least width of a picture in the grid, in pixels.

    Returns:
        HTML with all pictures in it. It has light and dark colours, as the reader's system has.
    """
    colors = [class_color(label) for label in range(len(classes))]
    return (
        templates()
        .get_template("pictures.html")
        .render(
            options=_Options(title),
            notes=notes,
            bad=bad,
            tables=tables,
            width=width,
            classes=[
                (name, bytes(color).hex(), bytes(ink_on(color)).hex())
                for name, color in zip(classes, colors, strict=True)
            ],
            pictures=(
                _Picture(caption, picture.shape[1], picture.shape[0], _jpeg(picture)) for caption, picture in pictures
            ),
        )
    )


def _jpeg(picture: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, format="JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode()
