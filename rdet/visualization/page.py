"""A page of pictures in one file, without network and scripts."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from rdet.visualization.colors import class_color, ink_on

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #222; --pale: #666; --line: #ddd; --bad: #b00020 }
@media (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #e6e6e6; --pale: #9a9a9a; --line: #3a3b3d;
  --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif }
h1 { margin: 0 0 .3rem; font-size: 1.35rem; overflow-wrap: anywhere }
p { margin: .2rem 0; color: var(--pale); max-width: 70rem; overflow-wrap: anywhere }
pre { overflow-x: auto; font-size: .8rem; line-height: 1.25 }
.bad { color: var(--bad) }
.key { display: flex; flex-wrap: wrap; gap: .3rem; margin: .8rem 0; padding: 0; list-style: none }
.key li { padding: .05rem .5rem; border-radius: .25rem; font-size: .85rem; overflow-wrap: anywhere }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, WIDTHpx), 1fr)) }
figure { margin: 0; scroll-margin: 1rem }
figure img { display: block; width: 100%; height: auto; background: var(--line); border-radius: .2rem }
figcaption { padding: .25rem 0; color: var(--pale); font-size: .85rem; overflow-wrap: anywhere }
.close { display: none }
figure:target { position: fixed; inset: 0; z-index: 1; padding: 2.5rem 1rem 1rem; overflow: auto;
  background: var(--paper) }
figure:target img { width: auto; min-width: min(100%, 900px); max-width: none; margin: auto; cursor: zoom-out }
figure:target .open { pointer-events: none }
figure:target .close { display: block; position: fixed; inset: 0; padding: .5rem 1rem; color: var(--ink);
  text-align: right; text-decoration: none; font-size: 1.1rem }
"""


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
    key = "".join(
        f'<li style="background:#{bytes(class_color(i)).hex()};color:#{bytes(ink_on(class_color(i))).hex()}">'
        f"{escape(name)}</li>"
        for i, name in enumerate(classes)
    )
    figures = "".join(
        f'<figure id="p{number}"><a class="open" href="#p{number}"><img loading="lazy" width="{picture.shape[1]}" '
        f'height="{picture.shape[0]}" alt="{escape(caption)}" src="data:image/jpeg;base64,{_jpeg(picture)}"></a>'
        f'<figcaption>{escape(caption)}</figcaption><a class="close" href="#all">close</a></figure>\n'
        for number, (caption, picture) in enumerate(pictures, start=1)
    )
    said = "".join(f"<p>{escape(note)}</p>" for note in notes) + "".join(
        f'<p class="bad">{escape(reason)}</p>' for reason in bad
    )
    said += "".join(f"<pre>{escape(table)}</pre>" for table in tables)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.replace('WIDTH', str(width))}</style></head>\n"
        f'<body id="all"><h1>{escape(title)}</h1>{said}<ul class="key">{key}</ul>\n'
        f"<main>\n{figures}</main></body></html>\n"
    )


def _jpeg(picture: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, format="JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode()
