"""The data set that is looked at."""

import copy
import sys
from typing import Any

from mmengine.config import Config

from rdet.apis.build import build_datasets
from rdet.apis.data_cfg import innermost, loader_cfg
from rdet.errors import BadImageError, message_of
from rdet.part_keys import parameters_of
from rdet.registry import DATASETS


def dataset_to_browse(cfg: Config, split: str, original: bool) -> tuple[Any, list[str]]:
    """Build the data set of a split so that bad images are met where they are read.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it. It stays as it is.
        split: ``'train'``, ``'val'`` or ``'test'``.
        original: Whether the images are shown as they were loaded.

    Returns:
        The data set; and what is wrong with its files, if some are missing.
    """
    cfg = copy.deepcopy(cfg)
    loader = loader_cfg(cfg, split)
    if loader is not None and original and "dataset" in loader:
        loader.dataset = _as_loaded(loader.dataset)
    _set_on_bad_image(loader, "error")
    try:
        return build_datasets(cfg, (split,))[split], []
    except BadImageError as error:
        print(f"error: {message_of(error)}", file=sys.stderr)
        _set_on_bad_image(loader, "skip")  # which reads all images, to find those that can be shown
        return build_datasets(cfg, (split,))[split], [message_of(error)]


def _set_on_bad_image(loader: Any, value: str) -> None:
    for dataset in innermost(loader.dataset) if loader is not None and "dataset" in loader else ():
        if "on_bad_image" in (parameters_of(DATASETS.get(dataset.type)) or ()):
            dataset.on_bad_image = value


def _as_loaded(dataset: Any) -> Any:
    """Return the config of a data set that only loads: without augmentation, and without joining images."""
    if "datasets" in dataset:
        dataset.datasets = [_as_loaded(part) for part in dataset.datasets]
    elif "dataset" in dataset:
        inner = _as_loaded(dataset.dataset)
        if "pipeline" in dataset:  # what joins images, of the same length
            return inner
        dataset.dataset = inner
    else:
        loads = [step for step in dataset.get("pipeline") or () if _name(step).startswith("Load")]
        dataset.pipeline = [*loads, {"type": "PackDetInputs"}]
    return dataset


def _name(step: Any) -> str:
    return getattr(step["type"], "__name__", str(step["type"])).rpartition(".")[2]
