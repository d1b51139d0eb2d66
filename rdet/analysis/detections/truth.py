"""The truth that detections are judged by, and where its images are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rdet.errors import EvaluationError, MissingFileError
from rdet.evaluation.coco_eval import renumber
from rdet.evaluation.coco_truth import read_truth
from rdet.messages import few


@dataclass(frozen=True)
class Truth:
    """Images, boxes and classes.

    Attributes:
        content: A COCO dict, as its file or data set says it.
        paths: Image id -> its file; images whose file is not known are left out.
        source: Where it comes from, in words.
    """

    content: dict[str, Any]
    paths: Mapping[int | str, Path]
    source: str

    def __post_init__(self) -> None:
        names = self.classes
        if not names or not self.content["images"]:
            raise EvaluationError(f"{self.source} has no {'images' if names else 'categories'}; give another truth")
        if len(set(names)) < len(names):
            raise EvaluationError(f"{self.source}: two categories have the same name: {few(names)}; rename one")

    @property
    def classes(self) -> list[str]:
        """Names of the K classes, in the order of the categories."""
        return [category["name"] for category in self.content["categories"]]

    @cached_property
    def _numbered(self) -> tuple[dict, dict, dict]:
        return renumber(self.content)

    @property
    def dataset(self) -> dict[str, Any]:
        """The same as COCO dict with numbers from 1 as ids: images in the order of their ids, categories in theirs."""
        return self._numbered[0]

    @property
    def image_numbers(self) -> dict[int | str, int]:
        """Image id -> its number in :attr:`dataset`."""
        return self._numbered[1]

    @property
    def category_numbers(self) -> dict[int | str, int]:
        """Category id -> its number in :attr:`dataset`."""
        return self._numbered[2]

    @cached_property
    def images(self) -> dict[int, dict[str, Any]]:
        """Number of each image -> its entry in the file."""
        return {self.image_numbers[image["id"]]: image for image in self.content["images"]}

    @cached_property
    def boxes(self) -> dict[int, list[dict[str, Any]]]:
        """Number of each image -> the annotations in it."""
        found: dict[int, list[dict[str, Any]]] = {number: [] for number in self.images}
        for annotation in self.dataset["annotations"]:
            found[annotation["image_id"]].append(annotation)
        return found


def truth_of_file(path: str | Path, images: str | Path | None = None) -> Truth:
    """Read a COCO file of anyone.

    Args:
        path: The annotations.
        images: The folder that its ``file_name`` are relative to; None: that of ``path``.

    Raises:
        DatasetError, MissingFileError, EvaluationError: They cannot be used.
    """
    if images is not None and not Path(images).is_dir():
        raise MissingFileError(f"--images {images}: there is no such folder; give the folder of the pictures")
    content = read_truth(str(path), "give the path of a COCO file")
    folder = Path(images if images is not None else Path(path).parent)
    paths = {image["id"]: folder / str(image["file_name"]) for image in content["images"] if "file_name" in image}
    if images is None:  # a guess, so it is no news if nothing is there
        paths = {id_: file for id_, file in paths.items() if file.is_file()}
    return Truth(content, paths, os.fspath(path))


def truth_of_config(cfg: Config, source: str) -> Truth:
    """Take the truth and the images of the data that a config is tested with, of whatever format.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it.
        source: What to call it.

    Raises:
        ConfigError, DatasetError: It has no such data, or they cannot be used.
    """
    from rdet.apis.build import build_datasets
    from rdet.errors import ConfigError

    dataset: Any = build_datasets(cfg, ("test",)).get("test")
    if not hasattr(dataset, "coco_ground_truth"):
        raise ConfigError(f"{source} has no test or val data with a ground truth; give --ann FILE.json")
    records = (dataset.get_data_info(i) for i in range(len(dataset)))
    return Truth(dataset.coco_ground_truth(), {r["img_id"]: Path(r["img_path"]) for r in records}, source)
