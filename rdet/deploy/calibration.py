"""Images of the training set, as an exported file gets them."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.config import Config

from rdet.apis.build import build_datasets
from rdet.apis.data_cfg import innermost, loader_cfg
from rdet.deploy.metadata import Metadata
from rdet.errors import ConfigError


class Calibration:
    """Batches of images of a config's training set, through the pipeline that the file has: no augmentation.

    Each is what the file takes, ``images`` (N, C, H, W) and ``image_sizes`` (N, 2) int64, read when it is asked for.

    Args:
        cfg: Has a ``train_dataloader``.
        metadata: Of the file.
        number: Images, spread over the data set at random; all of it, if it has fewer.
        seed: Which.

    Attributes:
        number: Images that are taken.

    Raises:
        ConfigError: The config has no training set, or an empty one.
        RdetError: Its files are not there, or cannot be used.
    """

    def __init__(self, cfg: Config, metadata: Metadata, number: int, seed: int):
        self._metadata = metadata
        self._data = _training_sets(cfg, metadata.pipeline)
        places = [(which, index) for which, data in enumerate(self._data) for index in range(len(data))]
        if not places:
            raise ConfigError("int8 is calibrated on images of train_dataloader, which has none; give some")
        self.number = min(number, len(places))
        chosen = np.random.default_rng(seed).permutation(len(places))[: self.number]
        self._places = [places[index] for index in sorted(chosen)]

    def __len__(self) -> int:
        return -(-self.number // (self._metadata.batch or 1))

    def _batch(self, index: int) -> dict[str, np.ndarray]:
        said = self._metadata
        number = said.batch or 1
        # The last batch is filled up with images from the beginning.
        places = [self._places[place % self.number] for place in range(index * number, (index + 1) * number)]
        images = [self._data[which][place]["inputs"].numpy() for which, place in places]
        size = said.size or [
            -(-max(image.shape[axis] for image in images) // said.divisor) * said.divisor for axis in (1, 2)
        ]
        batch = np.zeros((number, said.channels, *size), dtype=said.input)
        for row, image in enumerate(images):
            batch[row, :, : image.shape[1], : image.shape[2]] = image
        return {"images": batch, "image_sizes": np.array([image.shape[1:] for image in images], dtype=np.int64)}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self._batch(index) for index in range(len(self)))


def _training_sets(cfg: Config, pipeline: list[dict[str, Any]]) -> list[Any]:
    """Build the data sets of a training without what augments them; how files are read stays."""
    loader = loader_cfg(cfg, "train")
    if not loader or "dataset" not in loader:
        raise ConfigError(
            "int8 is calibrated on images of the training set, and the config has no train_dataloader with a dataset; "
            "give a config that has one"
        )
    found = []
    for inner in innermost(loader.dataset):
        one = copy.deepcopy(cfg)
        own = list(inner.get("pipeline") or ())
        one.train_dataloader = {
            "dataset": {**inner, "pipeline": [*(own[:1] or pipeline[:1]), *copy.deepcopy(pipeline[1:])]}
        }
        found.append(build_datasets(one, ("train",))["train"])
    return found
