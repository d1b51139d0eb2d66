"""Where a config says its data."""

from collections.abc import Iterator

from mmengine.config import Config


def loader_cfg(cfg: Config, split: str):
    """The data loader of a split; that of ``'test'`` falls back to ``val_dataloader``."""
    return cfg.get(f"{split}_dataloader") or (cfg.get("val_dataloader") if split == "test" else None)


def innermost(dataset: dict) -> Iterator[dict]:
    """A data set, or those that it wraps."""
    wrapped = dataset.get("datasets") or ([dataset["dataset"]] if "dataset" in dataset else None)
    if wrapped is None:
        yield dataset
    for inner in wrapped or ():
        yield from innermost(inner)
