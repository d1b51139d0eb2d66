"""Parameters of a detector, and its operations on images."""

from collections import Counter
from dataclasses import dataclass
from statistics import mean

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from rdet.apis.build import build_datasets, build_detector
from rdet.apis.run_summary import operations_of
from rdet.datasets.summary import classes_of
from rdet.errors import ConfigError, DatasetError, MissingFileError

_CLASSES_OF_COCO = 80


@dataclass(frozen=True)
class Operations:
    """What a detector computes.

    Attributes:
        parameters: Number of weights, frozen ones included.
        flops: Floating-point operations of the network, mean over the images; an addition and a product are two.
        images: How many images there were; 0: none, one made-up size.
        size: Height and width of the network's input: the most frequent.
        classes: Number of classes.
    """

    parameters: int
    flops: float
    images: int
    size: tuple[int, int]
    classes: int

    def __str__(self) -> str:
        of = f"mean over {self.images} images, most of " if self.images else ""
        return (
            f"parameters: {self.parameters / 1e6:.3f} M, for {self.classes} classes\n"
            f"operations: {self.flops / 1e9:.3f} GFLOPs ({of}{self.size[0]} x {self.size[1]} pixels; an addition and a "
            "product are two operations, where MMDetection counts one)"
        )


def operations_at(cfg: Config, size: tuple[int, int]) -> Operations:
    """Count for one size of the network's input, height and width.

    Raises:
        ConfigError: The network cannot run on tensors without data.
    """
    classes = _classes(cfg)
    model = build_detector(cfg, classes)
    return Operations(_parameters(model), _count(model, size), 0, size, len(classes))


def operations_on_images(cfg: Config, images: int) -> Operations:
    """Count for the first images of the data that a config is tested with.

    Raises:
        ConfigError: There are no such data, or the network cannot run on tensors without data.
    """
    dataset = build_datasets(cfg, ("test",)).get("test")
    if dataset is None or not len(dataset):
        raise ConfigError("the config has no test or val data; give --shape HEIGHT WIDTH")
    classes = classes_of(dataset)
    model = build_detector(cfg, classes)
    sizes = Counter[tuple[int, int]]()
    for i in range(min(images, len(dataset))):
        inputs = model.data_preprocessor(pseudo_collate([dataset[i]]))["inputs"]
        sizes[tuple(inputs.shape[-2:])] += 1
    counts = {size: _count(model, size) for size in sizes}
    flops = mean(counts[size] for size in sizes.elements())
    return Operations(_parameters(model), flops, sizes.total(), sizes.most_common(1)[0][0], len(classes))


def _classes(cfg: Config) -> tuple[str, ...]:
    """Return the classes, whose number changes the operations: of the data, or as many as COCO has without data."""
    try:
        datasets = build_datasets(cfg, ("test",))
        return classes_of(datasets["test"])
    except (KeyError, MissingFileError, DatasetError):
        return tuple(map(str, range(_CLASSES_OF_COCO)))


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _count(model: torch.nn.Module, size: tuple[int, int]) -> int:
    found = operations_of(model, size)
    if found is None:
        raise ConfigError("the network looks at values, so that its operations cannot be counted without data")
    return found
