"""One part of a data set on its way from a format to another."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rdet.datasets.base import DetDataset
from rdet.datasets.summary import classes_of
from rdet.errors import DatasetError
from rdet.files import writing
from rdet.messages import shown


@dataclass(frozen=True)
class Part:
    """Images with boxes, as :meth:`~rdet.datasets.DetDataset.coco_ground_truth` gives them.

    Attributes:
        split: What the part is called.
        classes: Names in the order of their labels.
        content: ``images``, ``annotations`` and ``categories`` of COCO; ``file_name`` is relative to the folder that
            all images have in common.
        paths: Where each image is now.
    """

    split: str
    classes: tuple[str, ...]
    content: dict
    paths: list[str]

    @classmethod
    def of(cls, split: str, dataset: DetDataset) -> "Part":
        """Take what a data set read."""
        content = dataset.coco_ground_truth()
        paths = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
        common = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
        names = [Path(os.path.relpath(os.path.abspath(path), common)).as_posix() for path in paths]
        content["images"] = [{**image, "file_name": name} for image, name in zip(content["images"], names, strict=True)]
        return cls(split, classes_of(dataset), content, paths)

    def images(self) -> Iterator[tuple[dict, list[dict], str]]:
        """Yield each image with its annotations, and where it is now."""
        by_image: dict[int, list[dict]] = {}
        for annotation in self.content["annotations"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        for image, path in zip(self.content["images"], self.paths, strict=True):
            yield image, by_image.get(image["id"], []), path

    def label_of(self) -> dict[int, int]:
        """Map the ids of categories to labels."""
        return {category["id"]: label for label, category in enumerate(self.content["categories"])}


def write_small(path: Path, text: str) -> None:
    """Write one of many small files; none is flushed by itself, which would take far longer than the writing."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def stem_of(name: str, seen: dict[str, str]) -> str:
    """Return a name without its ending, by which files beside the images are called.

    Raises:
        DatasetError: An image before has it too, with another ending.
    """
    stem = os.path.splitext(name)[0]
    if seen.setdefault(stem, name) != name:
        raise DatasetError(f"{shown(seen[stem])} and {shown(name)} would share their file of boxes; rename one")
    return stem
