"""YOLO in a folder: a file of boxes for each image."""

import os

from rdet.datasets.folders.found import FoundData, by_split
from rdet.datasets.folders.listing import LISTS, Listing, split_of
from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.datasets.yolo_places import label_paths, resolved
from rdet.datasets.yolo_yaml import read_data_yaml
from rdet.errors import DatasetError

_FEWEST_NUMBERS = 5  # in a line of a label file


def find_yolo_yaml(listing: Listing) -> FoundData | None:
    """Find a ``data.yaml`` that says where the images are."""
    for file in listing.files(".yaml", ".yml"):
        data = listing.read(file)
        if b"names" not in data or not any(key in data for key in (b"train", b"val")):
            continue
        where = listing.path(file)
        yaml = read_data_yaml(data, where)
        splits = {}
        for split in yaml.places:
            try:
                resolved(yaml, split, where)
            except DatasetError:
                if split != "test":  # often named and not delivered
                    raise
                continue
            splits[split] = {"type": "YoloDataset", "ann_file": file, "split": split}
        if splits:
            return FoundData(listing.root, "YOLO", splits)
    return None


def find_yolo_labels(listing: Listing) -> FoundData | None:
    """Find label files beside images, in ``labels`` or in another folder, with lists of images or without."""
    folders = sorted({os.path.dirname(image) for image in listing.images})
    labelled = {folder: split_of(folder) for folder in folders if _has_labels(listing, folder)}
    lists = {
        file: split_of(os.path.basename(file))
        for file in listing.files(".txt")
        if os.path.basename(file) in LISTS and listing.first_line(file).lower().endswith(IMAGE_SUFFIXES)
    }
    if not labelled:
        return _find_labels_apart(listing, folders)
    chosen, _ = by_split(lists or labelled, listing.root, "a list of images" if lists else "a folder of images")
    return FoundData(listing.root, "YOLO", {s: {"type": "YoloDataset", "ann_file": file} for s, file in chosen.items()})


def _find_labels_apart(listing: Listing, folders: list[str]) -> FoundData | None:
    """Find folders of label files that are called as the images of another folder are."""
    apart = {folder: labels for folder in folders if (labels := _folder_of_labels(listing, folder)) is not None}
    if not apart:
        return None
    chosen, _ = by_split({folder: split_of(folder) for folder in apart}, listing.root, "a folder of images")
    splits = {
        split: {"type": "YoloDataset", "ann_file": folder, "data_prefix": {"img": folder, "labels": apart[folder]}}
        for split, folder in chosen.items()
    }
    return FoundData(listing.root, "YOLO", splits)


def _folder_of_labels(listing: Listing, images: str) -> str | None:
    """Return the folder with most label files of the images, of several one of the same part of the data."""
    stems = {os.path.splitext(os.path.basename(i))[0] for i in listing.images if os.path.dirname(i) == images}
    fitting: dict[str, list[str]] = {}
    for file in listing.files(".txt"):
        if os.path.splitext(os.path.basename(file))[0] in stems:
            fitting.setdefault(os.path.dirname(file), []).append(file)
    order = sorted(fitting, key=lambda folder: (split_of(folder) != split_of(images), -len(fitting[folder])))
    for folder in order:
        first = next((words for file in fitting[folder] if (words := listing.first_line(file).split())), [""])
        if first[0].isdigit() and len(first) >= _FEWEST_NUMBERS:
            return folder
    return None


def _has_labels(listing: Listing, folder: str) -> bool:
    """Tell whether an image of a folder has a label file, which begins with a number."""
    images = [image for image in listing.images if os.path.dirname(image) == folder]
    paths = label_paths((listing.path(image) for image in images), listing.root)
    inner = (os.path.relpath(path, listing.root) for path in paths)
    first = next((path for path in inner if listing.first_line(path)), None)
    return first is not None and listing.first_line(first).split()[0].rstrip(",").isdigit()
