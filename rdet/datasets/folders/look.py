"""Looks at a folder and says which data set it is."""

import json
import os
from collections.abc import Callable

from rdet.datasets.csv_columns import COLUMNS
from rdet.datasets.folders.found import FoundData
from rdet.datasets.folders.labels import find_yolo_labels, find_yolo_yaml
from rdet.datasets.folders.listing import Listing
from rdet.datasets.folders.tables import find_coco, find_csv, in_utf_8, say_what_a_table_lacks
from rdet.datasets.folders.voc import find_voc
from rdet.errors import DatasetError
from rdet.messages import few

# In the order in which they are looked for: where there are several, the first says most.
_FINDERS: list[tuple[str, Callable[[Listing], FoundData | None]]] = [
    ("coco", find_coco),
    ("yolo", find_yolo_yaml),
    ("voc", find_voc),
    ("csv", find_csv),
    ("yolo", find_yolo_labels),
]
FORMATS = tuple(dict.fromkeys(name for name, _ in _FINDERS))


def look_at(folder: str, only: str | None = None) -> FoundData:
    """Say what a folder holds.

    Args:
        folder: The folder of a data set.
        only: One of ``FORMATS``, where there are several; None takes the first.

    Raises:
        MissingFileError: There is no such folder.
        DatasetError: It holds no data set that rdet reads, or one of which a part is missing.
    """
    listing = Listing(folder)
    for name, find in _FINDERS:
        if only in (None, name) and (found := find(listing)) is not None:
            return found
    if only in (None, "coco", "csv"):
        say_what_a_table_lacks(listing)
    wanted = f"no data set in the format {only}" if only else "no data set that rdet reads"
    raise DatasetError(
        f"{folder} is {wanted}: it has {_content(listing)}; put COCO json (with images, annotations and categories), "
        f"YOLO labels with data.yaml, Pascal VOC xml or a csv with {','.join(COLUMNS)} beside the images"
    )


def _content(listing: Listing) -> str:
    """Say what is there instead."""
    said = [f"{len(listing.images)} images"]
    for file in [*listing.files(".json"), *listing.files(".csv")][:3]:
        said.append(f"{file} ({_keys(listing, file)})")
    said += sorted({os.path.splitext(name)[1] or "?" for name in listing.files(".txt", ".xml", ".yaml", ".yml")})
    return ", ".join(said)


def _keys(listing: Listing, file: str) -> str:
    data = listing.read(file)
    if file.lower().endswith(".csv"):
        return f"columns {few(data[:2000].decode('utf-8', 'replace').splitlines()[:1]) or 'none'}"
    try:
        content = json.loads(in_utf_8(data))
    except (ValueError, RecursionError):
        return "not JSON"
    return f"keys {few(content)}" if isinstance(content, dict) else f"a {type(content).__name__}"
