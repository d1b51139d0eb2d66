"""Where the images and the labels of a YOLO data set are."""

import os
from collections.abc import Iterable
from pathlib import Path

from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.datasets.yolo_yaml import DataYaml
from rdet.errors import DatasetError
from rdet.messages import few


def images_below(folder: str) -> list[str]:
    """List the images below a folder, sorted, by their paths in it."""
    found = []
    for where, _, names in os.walk(folder):
        inner = os.path.relpath(where, folder)
        images = (name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."))
        found += [os.path.normpath(os.path.join(inner, name)) for name in images]
    return sorted(found)


def resolved(yaml: DataYaml, split: str, where: str) -> list[str]:
    """Find the folders and lists that a ``data.yaml`` has for a split.

    Its ``path`` may be that of another machine, and Roboflow writes ``../train/images`` for what is beside the file:
    what is there is taken.

    Raises:
        DatasetError: One of them is nowhere.
    """
    folder, found = Path(where).parent, []
    for place in yaml.places[split]:
        inner = place
        while inner.startswith("../"):
            inner = inner[3:]
        tried = list(dict.fromkeys([folder / yaml.root / place, folder / place, folder / inner]))
        parts = Path(inner).parts  # the path of another machine ends as it does here: in images/train
        ends = [folder.joinpath(*parts[cut:]) for cut in range(1, len(parts) - 1)]
        there = next((path for path in [*tried, *ends] if path.exists()), None)
        if there is None:
            without = "" if split == "train" else f", or leave {split} out"
            raise DatasetError(f"{where}: there is no {split} at {few(tried)}; correct {split} or path{without}")
        found.append(str(there))
    return found


def folder_of_names(names: list[str], list_file: str, img_folder: str) -> tuple[str, list[str]]:
    """Find what the names in a list are relative to, judged by the first.

    Darknet's are relative to where it is started, others to the folder of the list; some tools write ``data/`` before
    names in that folder.

    Returns:
        The folder, and the names in it.
    """
    names = [name if "/" in name else name.replace("\\", "/") for name in names]
    beside = os.path.dirname(list_file) or "."
    shorter = [name.removeprefix("data/") for name in names]
    for folder, candidates in ((img_folder, names), (beside, names), (beside, shorter)):
        if os.path.exists(os.path.join(folder, candidates[0])):
            return folder, candidates
    return img_folder, names


def label_paths(images: Iterable[str], data_root: str) -> list[str]:
    """Return the label file of each image: below ``labels`` where it is below ``images``, else beside it."""
    folders: dict[str, str] = {}
    paths = []
    for image in images:
        folder, name = os.path.split(image)
        if folder not in folders:
            folders[folder] = _label_folder(folder, data_root)
        paths.append(os.path.join(folders[folder], f"{os.path.splitext(name)[0]}.txt"))
    return paths


def _label_folder(folder: str, data_root: str) -> str:
    parts = os.path.relpath(folder or ".", data_root or ".").split(os.sep)
    if "images" not in parts:
        return folder
    at = len(parts) - 1 - parts[::-1].index("images")
    other = os.path.join(data_root, *parts[:at], "labels", *parts[at + 1 :])
    return other if os.path.isdir(other) else folder
