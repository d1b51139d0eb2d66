"""The parts of somebody's data: read, divided where there is nothing to validate on, and their classes."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rdet.apis.own_data.split import divide
from rdet.datasets import DetDataset
from rdet.datasets.folders import FoundData
from rdet.datasets.summary import classes_of
from rdet.errors import BadImageError, DatasetError
from rdet.files import write_text
from rdet.messages import few

_MANY = 20_000  # images of which reading each before the start takes minutes


@dataclass(frozen=True)
class Parts:
    """What a config says of its data.

    Attributes:
        cfgs: ``'train'``, ``'val'`` and perhaps ``'test'`` -> arguments of the data set.
        images: Images of each.
        classes: Names of those that have boxes, in the order of the files.
        notes: What there is to say of it, a line each.
    """

    cfgs: dict[str, dict]
    images: dict[str, int]
    classes: tuple[str, ...]
    notes: list[str]


def read_parts(found: FoundData, folder: Path, group_by: str | None) -> Parts:
    """Read all parts, and divide the images to train on if there are none to validate on.

    Args:
        found: The data.
        folder: Where lists of images are written.
        group_by: How images that stay together are told by their names, see
            :func:`~rdet.apis.own_data.split.group_of`.

    Raises:
        DatasetError: There is nothing to train on, or a part cannot be read.
    """
    source = "train" if "train" in found.splits else "all"
    if source not in found.splits:
        has = " and ".join(found.splits)
        raise DatasetError(f"{found.root} has a part {has}, but none to train on; name one train")
    datasets = {split: _read(found, split) for split in found.splits}
    images = {split: len(dataset) for split, dataset in datasets.items()}
    notes = [found.describe(images)]
    cfgs = {"train" if split == "all" else split: dict(cfg) for split, cfg in found.splits.items()}
    images["train"] = images.pop(source)
    if "val" not in cfgs:
        names = [image["file_name"] for image in datasets[source].coco_ground_truth()["images"]]
        lists = dict(zip(("train", "val"), divide(names, group_by, found.root), strict=True))
        for split, listed in lists.items():
            path = (folder / f"{split}.json").absolute()  # in which any name of a file can stand
            write_text(path, json.dumps(listed, indent=0))
            cfgs[split] = {**found.splits[source], "image_list": str(path)}
            images[split] = len(listed)
        grouped = f", grouped by {group_by}" if group_by else ""
        notes.append(
            f"no part to validate on: {images['train']} images to train on, {images['val']} to validate on, by a hash "
            f"of their names{grouped} ({folder}/train.json, val.json)"
        )
    classes, unused = _classes(datasets)
    if not classes:
        raise DatasetError(
            f"{found.root} has no box to learn ({sum(images.values())} images, {len(unused)} classes); write the "
            "boxes, or give a folder that has some"
        )
    if unused:
        notes.append(f"classes without a box are left out: {few(unused)}")
    for cfg in cfgs.values():
        cfg["on_bad_image"] = "skip" if sum(images.values()) <= _MANY else "error"
    order = [split for split in ("train", "val", "test") if split in cfgs]
    return Parts({split: cfgs[split] for split in order}, {split: images[split] for split in order}, classes, notes)


def _read(found: FoundData, split: str) -> DetDataset:
    """Read a part; images are only decoded where the sizes of some cannot be read."""
    try:
        return found.read(split)
    except BadImageError:
        return found.read(split, on_bad_image="skip")


def _classes(datasets: Mapping) -> tuple[tuple[str, ...], list[str]]:
    """Return the classes that have a box to learn anywhere, and those that have none."""
    counts: Counter[str] = Counter()
    for dataset in datasets.values():
        names = classes_of(dataset)
        counts.update(dict.fromkeys(names, 0))
        for i in range(len(dataset)):
            counts.update(names[label] for label in dataset.get_cat_ids(i))
    used = tuple(name for name, count in counts.items() if count)
    return used, [name for name, count in counts.items() if not count]
