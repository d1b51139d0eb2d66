"""A whole data set from one format to another."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from rdet.datasets.folders import FoundData
from rdet.datasets.summary import check_same_classes
from rdet.datasets.writers.coco import write_coco
from rdet.datasets.writers.part import Part
from rdet.datasets.writers.voc import write_voc
from rdet.datasets.writers.yolo import write_yolo
from rdet.errors import BadImageError, ConfigError
from rdet.files import open_regular, why_unreadable, writing
from rdet.messages import few

_WRITERS: dict[str, Callable[[list[Part], Path], dict[str, str]]] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "voc": write_voc,
}
TARGETS = tuple(_WRITERS)


def convert_data(found: FoundData, out: Path, target: str, link: bool = False, one_based: bool | None = None) -> str:
    """Write all parts of a data set in another format, with its images.

    Args:
        found: The data set.
        out: A folder that is empty or not there.
        target: One of ``TARGETS``.
        link: Link to the images instead of copying them.
        one_based: Of sources in xml and csv, whether pixels are counted from 1; None: as the format does.

    Returns:
        What was written and what was left out.

    Raises:
        ConfigError: There is something in the folder.
        DatasetError: The source cannot be read, or two images would share a file of boxes.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; choose another folder, or empty it")
    options = {} if one_based is None else {"one_based": one_based}
    datasets = {split: found.read(split, **options) for split in found.splits}
    first, *others = datasets
    for other in others:
        check_same_classes(datasets[first], datasets[other], (first, other))
    parts = [Part.of(split, dataset) for split, dataset in datasets.items()]
    places = _WRITERS[target](parts, out)
    for source, place in places.items():
        _bring(source, out / place, link)
    said = [f"{part.split} {len(part.paths)} images with {len(part.content['annotations'])} boxes" for part in parts]
    return "\n".join([f"{out}: {', '.join(said)}", *_lost(parts, target)])


def _bring(source: str, target: Path, link: bool) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if link:
            os.symlink(os.path.abspath(source), target)
        else:
            with _opened(source) as image, open(target, "wb") as copy:
                shutil.copyfileobj(image, copy)


def _opened(source: str) -> BinaryIO:
    try:
        return open_regular(source)
    except OSError as error:
        raise BadImageError(f"{source}: cannot read the image file ({why_unreadable(error)}); replace it") from error


def _lost(parts: list[Part], target: str) -> Iterable[str]:
    """Say what the format cannot hold."""
    regions = sum(bool(box["iscrowd"]) for part in parts for box in part.content["annotations"])
    if regions and target == "yolo":
        yield f"left out: {regions} of them that are regions to ignore, which YOLO's format does not have"
    used = {
        part.content["categories"][part.label_of()[box["category_id"]]]["name"]
        for part in parts
        for box in part.content["annotations"]
    }
    unused = [name for name in parts[0].classes if name not in used]
    if unused and target == "voc":
        yield f"left out: the classes without a box, {few(unused)}: xml files list no classes"
