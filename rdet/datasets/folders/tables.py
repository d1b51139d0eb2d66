"""COCO json and csv tables in a folder: files that name their images."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from rdet import coco_json
from rdet.datasets.csv_columns import NEEDED, known_columns
from rdet.datasets.csv_table import header_of, read_rows
from rdet.datasets.folders.found import FoundData, by_split
from rdet.datasets.folders.listing import Listing, split_of
from rdet.datasets.values import text_of
from rdet.errors import DatasetError

_LISTS = ("images", "annotations", "categories")
_COLUMNS = (b'"file_name"', b'"image_id"', b'"category_id"', b'"bbox"')
_NEARLY = 4  # columns of a table of boxes, by which a csv file is taken for one
_KEYS = tuple(f'"{key}"'.encode() for key in _LISTS)


def find_coco(listing: Listing) -> FoundData | None:
    """Find COCO json files of boxes."""
    files = {file: split_of(file) for file in listing.files(".json") if _is_coco(listing, file)}
    if not files:
        return None
    chosen, others = by_split(files, listing.root, "COCO json")
    return FoundData(listing.root, "COCO json", {s: _coco(listing, file) for s, file in chosen.items()}, others)


def _is_coco(listing: Listing, file: str) -> bool:
    """Tell whether a file has COCO's lists, under another key perhaps."""
    data = in_utf_8(listing.read(file))
    if all(key in data for key in _KEYS):
        return True
    if not all(key in data for key in _COLUMNS):
        return False
    with suppress(DatasetError):
        content = coco_json.parse(data, file)
        return bool(coco_json.called_otherwise(content, coco_json.lists(content, _LISTS, [], file)))
    return False


def in_utf_8(data: bytes) -> bytes:
    """Return json in UTF-8, which it may have in any of Unicode's encodings."""
    encoding = json.detect_encoding(data)
    return data if encoding.startswith("utf-8") else data.decode(encoding, "replace").encode("utf-8", "replace")


def say_what_a_table_lacks(listing: Listing) -> None:
    """Raise :class:`DatasetError` for the first file that is nearly COCO json or a table of boxes."""
    for file in listing.files(".json"):
        data, where = in_utf_8(listing.read(file)), listing.path(file)
        if sum(key in data for key in _KEYS) >= len(_KEYS) - 1:
            content = coco_json.parse(data, where)
            coco_json.lists(content, ("images", "categories"), ["annotations"], where)
            raise DatasetError(f"{where} has no 'annotations', so there is nothing to learn; write its boxes")
    for file in listing.files(".csv"):
        data, where = listing.read(file), listing.path(file)
        if text_of(data) is None:
            raise DatasetError(f"{where} is no text in UTF-8; save it in that encoding")
        if len(known_columns(header_of(data))) >= _NEARLY:
            next(iter(read_rows(data, where)), None)


def _coco(listing: Listing, file: str) -> dict:
    where = listing.path(file)
    images = coco_json.lists(coco_json.parse(listing.read(file), where), ["images"], [], where)["images"]
    names = [name for name in coco_json.column(images, "images", "file_name", where) if isinstance(name, str)]
    return {
        "type": "CocoDataset",
        "ann_file": file,
        "data_prefix": {"img": listing.image_folder_or_raise(names, file)},
    }


def find_csv(listing: Listing) -> FoundData | None:
    """Find csv tables of boxes."""
    files = {file: split_of(os.path.basename(file)) or split_of(file) for file in listing.files(".csv")}
    files = {file: split for file, split in files.items() if _has_columns(listing.read(file))}
    if not files:
        return None
    chosen, others = by_split(files, listing.root, "a csv table")
    splits = {split: _csv(listing, file) for split, file in chosen.items()}
    return FoundData(listing.root, "a csv table", splits, [*_without_a_row(listing, files, splits), *others])


def _without_a_row(listing: Listing, files: Iterable[str], splits: Mapping[str, dict]) -> list[str]:
    """Say how many images beside those of the tables have no row in any: in a csv, they are easily forgotten."""
    folders = [os.path.normpath(cfg["data_prefix"]["img"]) for cfg in splits.values()]
    named = {
        os.path.normpath(os.path.join(folder, name))
        for file in files
        for name in _names(listing, file)
        for folder in folders
    }
    beside = [image for image in listing.images if os.path.normpath(os.path.dirname(image)) in folders]
    count = sum(os.path.normpath(image) not in named for image in beside)
    return (
        [f"{count} images without a row (one with an empty class and box says that there is no object)"]
        if count
        else []
    )


def _has_columns(head: bytes) -> bool:
    return set(NEEDED) <= known_columns(header_of(head)).keys()


def _csv(listing: Listing, file: str) -> dict:
    folder = listing.image_folder_or_raise(_names(listing, file), file)
    return {"type": "CsvDataset", "ann_file": file, "data_prefix": {"img": folder}}


def _names(listing: Listing, file: str) -> list[str]:
    rows = read_rows(listing.read(file), listing.path(file))
    return list(dict.fromkeys(row["filename"].replace("\\", "/") for _, row in rows if row["filename"]))
