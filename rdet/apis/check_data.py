"""A look at all data of a config, image by image."""

import copy
import logging

from mmengine.config import Config
from mmengine.logging import MMLogger

from rdet.apis.build import build_datasets
from rdet.apis.data_cfg import innermost, loader_cfg
from rdet.apis.evaluation_checks import crowded
from rdet.datasets.class_summary import class_table, doubtful_classes
from rdet.datasets.summary import dataset_table, doubtful_splits
from rdet.part_keys import parameters_of
from rdet.registry import DATASETS

_SPLITS = ("train", "val", "test")


class _Kept(logging.Handler):
    """Keeps what is warned of, in place of showing it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.texts.append(record.getMessage())


def check_data(cfg: Config) -> tuple[str, list[str]]:
    """Load each split, and read each of its images.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it.

    Returns:
        Tables of the splits and of their classes; and what is to be looked at, a line each.

    Raises:
        DatasetError: Annotations cannot be used at all.
    """
    cfg = copy.deepcopy(cfg)
    splits = tuple(split for split in _SPLITS if cfg.get(f"{split}_dataloader"))
    for split in splits:
        for dataset in innermost(loader_cfg(cfg, split).dataset):
            if "on_bad_image" in (parameters_of(DATASETS.get(dataset.type)) or ()):
                dataset.on_bad_image = "skip"  # which has all images read, and those that are bad listed
    logger, kept = MMLogger.get_current_instance(), _Kept()
    shown = list(logger.handlers)
    logger.handlers = [kept]
    try:
        datasets = build_datasets(cfg, splits)
    finally:
        logger.handlers = shown
    doubts = [*kept.texts, *doubtful_classes(datasets), *doubtful_splits(datasets)]
    most = cfg.model.get("postprocess", {}).get("max_per_img", 100) if cfg.get("model") else None
    doubts += crowded(datasets, most)
    return f"{dataset_table(datasets)}\n{class_table(datasets)}", doubts
