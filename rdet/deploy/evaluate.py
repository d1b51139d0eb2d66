"""AP of a detector and of its exported file, on the same images."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from rdet.apis.build import build_datasets
from rdet.apis.data_cfg import evaluator_cfgs, innermost, loader_cfg
from rdet.errors import ConfigError
from rdet.registry import METRICS


def with_pipeline(cfg: Config, pipeline: list[dict[str, Any]]) -> Config:
    """Copy a config whose test data go through the pipeline of an exported file; how files are read stays."""
    cfg = copy.deepcopy(cfg)
    loader = loader_cfg(cfg, "test")
    if loader is None:
        raise ConfigError("the config has neither a test_dataloader nor a val_dataloader; add one")
    if not loader.get("dataset"):
        instead = "; change val_dataloader instead" if cfg.get("val_dataloader") else "; add one"
        raise ConfigError(f"test_dataloader has no dataset to test on{instead}")
    cfg.test_dataloader = loader
    for dataset in innermost(loader.dataset):
        own = list(dataset.get("pipeline") or ())
        dataset.pipeline = [*(own[:1] or pipeline[:1]), *copy.deepcopy(pipeline[1:])]
    return cfg


def test_data(cfg: Config) -> Any:
    """Build the data set that a config is tested on."""
    return build_datasets(cfg, ("test",))["test"]


@torch.no_grad()
def metrics_of(
    test_step: Callable[[dict[str, Any]], list], cfg: Config, dataset: Any, batch: int = 1
) -> dict[str, float]:
    """Evaluate on a data set.

    Args:
        test_step: Of a detector.
        cfg: Says the metrics.
        dataset: From :func:`test_data`.
        batch: Images of a batch.

    Returns:
        Name -> value.
    """
    with DefaultScope.overwrite_default_scope("rdet"):
        metrics = [METRICS.build(dict(metric), where="test_evaluator") for metric in evaluator_cfgs(cfg, "test")]
    for metric in metrics:
        if hasattr(metric, "set_dataset"):
            metric.set_dataset(dataset)
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dataset.metainfo
    for start in range(0, len(dataset), batch):
        data = pseudo_collate([dataset[index] for index in range(start, min(start + batch, len(dataset)))])
        evaluator.process(test_step(data), data)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")  # two tables of all classes would hide the comparison
    try:
        return {name: float(value) for name, value in evaluator.evaluate(len(dataset)).items()}
    finally:
        logger.setLevel(level)
