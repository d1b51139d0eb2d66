"""A look at all data of a config, image by image."""

import copy
import logging
from typing import NamedTuple

from mmengine.config import Config
from mmengine.logging import MMLogger

from rdet.apis.build import build_datasets
from rdet.apis.check_images import Finding, Images
from rdet.apis.check_priors import Reach
from rdet.apis.data_cfg import innermost, loader_cfg
from rdet.apis.evaluation_checks import crowded
from rdet.datasets.class_summary import class_table, doubtful_classes
from rdet.datasets.summary import classes_of, dataset_table, doubtful_splits
from rdet.part_keys import parameters_of
from rdet.registry import DATASETS
from rdet.report.picture_page import picture_page

_SPLITS = ("train", "val", "test")


class _Kept(logging.Handler):
    """Keeps what is warned of, in place of showing it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.texts.append(record.getMessage())


class DataReport(NamedTuple):
    """What a look at all data found.

    Attributes:
        tables: Of the splits, of their images and of their classes.
        findings: What is to be looked at.
        notes: What is worth knowing besides.
        classes: Their names.
    """

    tables: list[str]
    findings: list[Finding]
    notes: list[str]
    classes: tuple[str, ...]


def check_data(cfg: Config) -> DataReport:
    """Load each split, read each of its images, and match the detector's priors to the objects of some.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it.

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
    images = Images(datasets)
    findings = [*map(Finding, doubts), *images.findings()]
    notes = [*images.notes()]
    if cfg.get("model") and "train" in datasets:
        reach = Reach(cfg, datasets["train"])
        findings += reach.findings()
        notes += reach.notes()
    tables = [dataset_table(datasets), images.table(), class_table(datasets)]
    return DataReport(tables, findings, notes, classes_of(next(iter(datasets.values()))))


def report_page(report: DataReport, title: str) -> str:
    """Write what was found as a page in one file, with pictures of what can be seen."""
    pictures = (
        picture for finding in report.findings if finding.pictures is not None for picture in finding.pictures()
    )
    bad = [finding.text for finding in report.findings]
    notes = [*report.notes, *([] if bad else ["nothing is wrong"])]
    return picture_page(title, notes, report.classes, pictures, bad, report.tables)
