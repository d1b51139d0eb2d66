"""COCO json and csv tables in a folder: files that name their images."""

import os
from contextlib import suppress

from rdet import coco_json
from rdet.datasets.csv_table import COLUMNS, read_rows
from rdet.datasets.folders.found import FoundData, by_split
from rdet.datasets.folders.listing import Listing, split_of
from rdet.errors import DatasetError

_LISTS = ("images", "annotations", "categories")
_COLUMNS = (b'"file_name"', b'"image_id"', b'"category_id"', b'"bbox"')
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
    data = listing.read(file)
    if all(key in data for key in _KEYS):
        return True
    if not all(key in data for key in _COLUMNS):
        return False
    with suppress(DatasetError):
        content = coco_json.parse(data, file)
        return bool(coco_json.called_otherwise(content, coco_json.lists(content, _LISTS, [], file)))
    return False


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
    files = {file: split for file, split in files.items() if _has_columns(listing.read(file, 10_000))}
    if not files:
        return None
    chosen, others = by_split(files, listing.root, "a csv table")
    return FoundData(listing.root, "a csv table", {s: _csv(listing, file) for s, file in chosen.items()}, others)


def _has_columns(head: bytes) -> bool:
    header = head.split(b"\n")[0].decode("utf-8", "replace").lower()
    return all(name in header for name in COLUMNS)


def _csv(listing: Listing, file: str) -> dict:
    rows = read_rows(listing.read(file), listing.path(file))
    names = list(dict.fromkeys(row["filename"] for _, row in rows if row["filename"]))
    return {"type": "CsvDataset", "ann_file": file, "data_prefix": {"img": listing.image_folder_or_raise(names, file)}}
