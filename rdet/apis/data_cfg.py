"""Where a config says its data, and how they are evaluated."""

from collections.abc import Iterator

from mmengine.config import Config

from rdet.errors import ConfigError


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


def innermost(dataset: dict) -> Iterator[dict]:
    """Yield a data set, or those that it wraps."""
    wrapped = dataset.get("datasets") or ([dataset["dataset"]] if "dataset" in dataset else None)
    if wrapped is None:
        yield dataset
    for inner in wrapped or ():
        yield from innermost(inner)
