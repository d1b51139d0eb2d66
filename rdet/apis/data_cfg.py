"""Where a config says its data, and how they are evaluated."""

from collections.abc import Iterable, Iterator

from mmengine.config import Config

from rdet.errors import ConfigError
from rdet.messages import shown


def loader_cfg(cfg: Config, split: str):
    """Return the data loader of a split; that of ``'test'`` falls back to ``val_dataloader``."""
    return cfg.get(f"{split}_dataloader") or (cfg.get("val_dataloader") if split == "test" else None)


def evaluator_cfgs(cfg: Config, split: str) -> list[dict]:
    """Return the metrics of ``'val'`` or ``'test'``; a test falls back to ``val_evaluator``, both to CocoMetric.

    Raises:
        ConfigError: The list of metrics is empty.
    """
    for key in (f"{split}_evaluator", "val_evaluator"):
        if cfg.get(key) in ([], ()):
            raise ConfigError(f"{key} is empty; leave it out for CocoMetric, or set {split}_dataloader=None")
    value = cfg.get(f"{split}_evaluator") or cfg.get("val_evaluator") or {}
    return [{"type": "CocoMetric", **metric} for metric in (value if isinstance(value, list | tuple) else [value])]


# Transforms that move boxes and cannot be undone; detections are mapped back from resizing, and from flips of views.
_NOT_UNDONE = ("RandomCrop", "CenterCrop", "LargeScaleJitter", "Mosaic", "MixUp", "CopyPaste")


def name_of(step: dict) -> str:
    """Return the name of a transform's class."""
    return str(step["type"]).rpartition(".")[2]


def not_undone(steps: Iterable[dict]) -> str | None:
    """Return the first transform after which detections cannot be mapped back to the image, flips aside."""
    return next((name for name in map(name_of, steps) if name in _NOT_UNDONE), None)


def check_test_pipeline(pipeline: Iterable[dict], where: str) -> None:
    """Raise ConfigError if an image is evaluated otherwise than as it is, so that its detections are elsewhere."""
    if not isinstance(pipeline, list | tuple):
        raise ConfigError(f"{where} is no list of transforms but {shown(pipeline)}; give a list")
    for index, step in enumerate(pipeline):
        if not isinstance(step, dict) or "type" not in step:
            raise ConfigError(f"{where}.{index} is {shown(step)}, which names no transform; give it a type")
        name = name_of(step)
        if (name == "RandomFlip" or name in _NOT_UNDONE) and step.get("prob", 1.0) != 0:
            raise ConfigError(
                f"{where}.{index}: {name} moves objects, and what is detected is not moved back; leave it out of the "
                "pipeline that is evaluated with (for views of an image: --tta)"
            )


def images_of(cfg: Config, split: str) -> dict:
    """Return ``backend_args``, where the images of a split are read by some; else nothing."""
    for dataset in innermost(loader_cfg(cfg, split).dataset) if loader_cfg(cfg, split) else ():
        for step in dataset.get("pipeline") or ():
            if step.get("backend_args"):
                return {"backend_args": step["backend_args"]}
    return {}


def innermost(dataset: dict) -> Iterator[dict]:
    """Yield a data set, or those that it wraps."""
    wrapped = dataset.get("datasets") or ([dataset["dataset"]] if "dataset" in dataset else None)
    if wrapped is None:
        yield dataset
    for inner in wrapped or ():
        yield from innermost(inner)
