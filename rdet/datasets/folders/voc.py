"""Pascal VOC in a folder: an xml file of boxes for each image."""

import os
import re
from collections.abc import Sequence

from rdet.datasets.folders.found import FoundData, by_split
from rdet.datasets.folders.listing import LISTS, Listing, split_of
from rdet.errors import DatasetError

_SAMPLE = 20  # xml files by which a folder of images is judged
_FILENAME = re.compile(rb"<filename>([^<]*)</filename>")


def find_voc(listing: Listing) -> FoundData | None:
    """Find xml files, with lists of ids or without."""
    by_folder: dict[str, list[str]] = {}
    for file in listing.files(".xml"):
        by_folder.setdefault(os.path.dirname(file), []).append(file)
    found = {folder: files for folder, files in by_folder.items() if b"<annotation" in listing.read(files[0])}
    if not found:
        return None
    folders = _joined(found)
    if len(folders) == 1:
        ((folder, files),) = folders.items()
        stems = {os.path.splitext(os.path.basename(file))[0] for file in files}
        lists = {
            file: split_of(os.path.basename(file))
            for file in listing.files(*LISTS)
            if os.path.basename(file) in LISTS and listing.first_line(file).partition(" ")[0] in stems
        }
        if lists:
            lists = _without_trainval(lists)
            chosen, others = by_split(lists, listing.root, "a list of ids")
            splits = {split: _voc(listing, folder, files, file) for split, file in chosen.items()}
            return FoundData(listing.root, "Pascal VOC", splits, others)
    splits_of = {folder: split_of(files[0]) for folder, files in folders.items()}
    chosen, others = by_split(splits_of, listing.root, "a folder of xml files")
    splits = {split: _voc(listing, folder, folders[folder], folder) for split, folder in chosen.items()}
    return FoundData(listing.root, "Pascal VOC", splits, others)


def _joined(folders: dict[str, list[str]]) -> dict[str, list[str]]:
    """Join folders of one part of the data by what is above them all, where nothing else is below that."""
    by_part: dict[str | None, list[str]] = {}
    for folder in folders:
        by_part.setdefault(split_of(folder), []).append(folder)
    joined = {}
    for inner in by_part.values():
        above = os.path.commonpath(inner)
        below = [folder for folder in folders if not above or folder == above or folder.startswith(above + os.sep)]
        if len(inner) > 1 and above not in folders and below == inner:
            joined[above] = [file for folder in inner for file in folders[folder]]
        else:
            joined |= {folder: folders[folder] for folder in inner}
    return joined


def _without_trainval(lists: dict[str, str | None]) -> dict[str, str | None]:
    """Leave out ``trainval.txt`` where there are both of its halves, and ``train.txt`` where there is only that one."""
    names = {os.path.basename(file) for file in lists}
    drop = "trainval.txt" if {"train.txt", "val.txt"} <= names else "train.txt" if "trainval.txt" in names else ""
    return {file: split for file, split in lists.items() if os.path.basename(file) != drop}


def _voc(listing: Listing, folder: str, files: list[str], ann_file: str) -> dict:
    images = _image_folder(listing, folder, files)
    if images is None:
        first = os.path.splitext(os.path.basename(files[0]))[0]
        raise DatasetError(
            f"{listing.path(folder)}: no image has the name of an xml file, such as {first}, or of its <filename>; put "
            f"the images below {listing.root}"
        )
    return {"type": "VocDataset", "ann_file": ann_file, "data_prefix": {"img": images, "xml": folder}}


def _image_folder(listing: Listing, folder: str, files: Sequence[str]) -> str | None:
    """Find where the images of xml files are: by the paths of these, by their names alone, or by ``<filename>``."""
    sample = files[:: max(1, len(files) // _SAMPLE)]
    ids = [os.path.splitext(os.path.relpath(file, folder or "."))[0] for file in sample]
    stems = {os.path.splitext(image)[0]: image for image in listing.images}
    by_base = {os.path.basename(stem): image for stem, image in stems.items()}
    endings = {os.path.splitext(image)[1] for image in listing.images}
    nested = [f"{one}{ending}" for one in ids for ending in sorted(endings)]
    flat = [os.path.basename(by_base[base]) for one in ids if (base := os.path.basename(one)) in by_base]
    stated = [_stated(listing, file) for file in sample]
    for names in (nested if any(os.path.dirname(one) for one in ids) else [], flat, [name for name in stated if name]):
        if names and (found := listing.folder_of_most(names, files[0])) is not None:
            return found
    return None


def _stated(listing: Listing, file: str) -> str:
    match = _FILENAME.search(listing.read(file))
    return os.path.basename(match[1].decode("utf-8", "replace").strip().replace("\\", "/")) if match else ""
