"""The pipeline of a config's test data, applied to images outside of a data set."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.config import Config

from rdet.apis.data_cfg import check_test_pipeline, innermost, loader_cfg
from rdet.datasets.arrays import as_picture
from rdet.datasets.transforms.failure import failed_at
from rdet.datasets.transforms.order import check_order
from rdet.errors import ConfigError, RdetError
from rdet.registry import TRANSFORMS

Transforms = Sequence[Callable[[dict], dict]]


def inference_pipeline(cfg: Config, max_size: int | None = None) -> list:
    """Build the transforms that a config applies to images in evaluation.

    Args:
        cfg: The config.
        max_size: See :func:`resized`; None leaves the config's.

    Raises:
        ConfigError: The config has no such pipeline, or one that moves objects.
    """
    steps = steps_of(cfg)
    if max_size is not None:
        steps = resized(steps, max_size)
    built = [TRANSFORMS.build(copy.deepcopy(step), where="pipeline") for step in steps]
    check_order(built)
    return built


def steps_of(cfg: Config) -> list[dict]:
    """Return the configs of the transforms that a config applies to images in evaluation."""
    loader = loader_cfg(cfg, "test")
    if loader is None:
        raise ConfigError(
            "the config has neither a test_dataloader nor a val_dataloader, whose pipeline is used; add one"
        )
    where = "test_dataloader" if cfg.get("test_dataloader") else "val_dataloader"
    dataset = next(innermost(loader.get("dataset") or {}), {})
    if "pipeline" not in dataset:
        instead = "; change val_dataloader instead" if where == "test_dataloader" and cfg.get("val_dataloader") else ""
        raise ConfigError(f"{where} has no dataset with a pipeline, which images are read with{instead or '; add one'}")
    if not dataset["pipeline"]:
        raise ConfigError(f"{where}.dataset.pipeline is empty; begin it with dict(type='LoadImageFromFile')")
    check_test_pipeline(dataset["pipeline"], f"{where}.dataset.pipeline")
    return list(dataset.pipeline)


def resized(steps: Sequence[dict], max_size: int) -> list[dict]:
    """Have each ``Resize`` of a pipeline make the longer side ``max_size`` pixels; one that has none gets one.

    A ``Resize`` that keeps the shape of images still does, and one that does not makes them square.
    """
    steps = [{**step, "scale": (max_size, max_size)} if is_resize(step) else dict(step) for step in steps]
    if not any(map(is_resize, steps)):
        steps.insert(1, {"type": "Resize", "scale": (max_size, max_size), "keep_ratio": True})
    return steps


def is_resize(step: dict) -> bool:
    """Tell whether a step of a pipeline is ``Resize``."""
    return str(step["type"]).rpartition(".")[2] == "Resize"


def prepared(record: dict, pipeline: Transforms) -> dict:
    """Apply a pipeline to the record of an image.

    Raises:
        PipelineError: A transform failed.
    """
    path = record.get("img_path")
    for transform in pipeline:
        try:
            record = transform(record)
        except RdetError:
            raise
        except Exception as error:
            raise failed_at(path, type(transform).__name__, error) from error
    return record


def picture_of(loaded: dict) -> np.ndarray:
    """Return what a record was loaded as, to look at: (H, W, 3) uint8 BGR."""
    image: np.ndarray = loaded["img"]
    return image if image.shape[2] == 3 else as_picture(image)
