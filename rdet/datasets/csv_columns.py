"""Which columns of a csv table are which, by the names that tools give them."""

from collections.abc import Sequence

from rdet.errors import DatasetError
from rdet.messages import few, nearest, shown

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
NEEDED = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
# The upper left corner with the box's width and height, where there is no other corner.
_SIZES = {"xmax": ("w", "box_width", "bbox_width", "bbox_w"), "ymax": ("h", "box_height", "bbox_height", "bbox_h")}
_SYNONYMS = {
    "filename": ("file_name", "file", "image", "image_name", "image_path", "img", "img_path", "path", "image_id"),
    "class": ("label", "class_name", "category", "category_name", "label_name", "name"),
    "width": ("image_width", "img_width"),
    "height": ("image_height", "img_height"),
    "xmin": ("x_min", "x1", "left", "x", "bbox_x"),
    "ymin": ("y_min", "y1", "top", "y", "bbox_y"),
    "xmax": ("x_max", "x2", "right"),
    "ymax": ("y_max", "y2", "bottom"),
}


def known_columns(header: Sequence[str]) -> dict[str, str]:
    """Map columns to their names in a table, those that are there.

    ``xmax`` and ``ymax`` may be there as the box's width and height, see :func:`is_size`. A ``width`` and a ``height``
    beside ``x`` and ``y`` are the box's, too: other corners are not there.
    """
    found = {}
    for name in COLUMNS:
        for candidate in (name, *_SYNONYMS[name], *_SIZES.get(name, ())):
            if candidate in header:
                found[name] = candidate
                break
    if "x" in header and "y" in header and "xmax" not in found and "ymax" not in found:
        sizes = {"xmax": found.pop("width", None), "ymax": found.pop("height", None)}
        found |= {name: size for name, size in sizes.items() if size is not None}
    return found


def is_size(column: str, name: str) -> bool:
    """Tell whether what a table calls ``name`` is the box's width or height, in the place of its other corner."""
    return column in _SIZES and (name in _SIZES[column] or name in ("width", "height"))


def columns_of(header: Sequence[str], where: str) -> dict[str, str]:
    """Map columns to their names in a table.

    Args:
        header: The names, in lower case.
        where: The file, for messages.

    Raises:
        DatasetError: One is missing or there twice.
    """
    found = known_columns(header)
    for name in NEEDED:
        if name not in found:
            raise DatasetError(
                f"{where} has no column {name!r} but {few(map(shown, header), 8)}; name it in the first line. "
                f"{nearest(name, header, all_valid=False)}"
            )
    for name in found.values():
        if header.count(name) > 1:
            raise DatasetError(f"{where} has the column {name!r} {header.count(name)} times; leave one")
    return found


def taken(columns: dict[str, str]) -> str:
    """Say what columns with other names are taken for; nothing where there are none."""
    sides = {"xmax": "the width of the box", "ymax": "the height of the box"}
    meant = {name: sides[c] if is_size(c, name) else repr(c) for c, name in columns.items() if name != c}
    return few((f"{name!r} is taken for {what}" for name, what in meant.items()), len(COLUMNS))
