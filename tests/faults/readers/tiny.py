"""A run so small that a case of it takes a fraction of a second; made once for each process."""

import copy
import functools
import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import mmengine.config.config
import mmengine.hooks.runtime_info_hook
import mmengine.runner.runner
import numpy as np
import torch

TESTS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TESTS))

from tiny_run import DETECTOR, ROOT  # noqa: E402

READERS: list = []
TEMPORARY = Path(tempfile.gettempdir())  # of all cases, not of the one that is run now
CLASSES = ("bright", "red")

RUN = """
_images = dict(type="CocoDataset", ann_file="truth.json")
_load = [dict(type="LoadImageFromFile"), dict(type="PackDetInputs")]
train_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(**_images, pipeline=_load))
val_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(**_images, test_mode=True, pipeline=_load))
train_cfg = dict(by_epoch=False, max_iters=3, val_interval=1000)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="{optimizer}", lr=0.01))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=4),
    dict(type="MultiStepLR", by_epoch=False, begin=0, end=9, milestones=[5]),
]
default_hooks = dict(checkpoint=dict(interval=2, by_epoch=False, save_best=None, max_keep_ckpts=-1),
    results=None, labels=None, batches=None, curves=None)
{more}
log_level = "ERROR"
"""
EMA = 'custom_hooks = [dict(type="EMAHook", momentum=0.1)]'


@functools.cache
def data() -> Path:
    """Make two images with a box each, and their annotations."""
    torch.set_num_threads(1)
    mmengine.runner.runner.collect_env = dict  # it asks programs for their versions
    mmengine.runner.runner.get_git_hash = mmengine.hooks.runtime_info_hook.get_git_hash = str
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)  # it takes a tenth of a second
    gc.collect()
    gc.freeze()  # each data set has the collector look at all there is
    folder = TEMPORARY / f"rdet_tiny_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in (1, 2):
        image = np.full((32, 32, 3), 40, np.uint8)
        image[8:24, 8:24] = 230
        cv2.imwrite(str(folder / f"{number}.png"), image)
    images = [{"id": number, "file_name": f"{number}.png", "width": 32, "height": 32} for number in (1, 2)]
    boxes = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0}
        for number in (1, 2)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return folder


def write_config(path: Path, optimizer: str = "SGD", more: str = "") -> Path:
    """Write the config of the run."""
    detector = DETECTOR.format(root=ROOT, data=data(), channels=8)
    path.write_text(detector + RUN.format(optimizer=optimizer, more=more))
    return path


@functools.cache
def _config(optimizer: str, more: str) -> Any:
    from rdet.config import load_config

    with tempfile.TemporaryDirectory(dir=TEMPORARY) as folder:
        return load_config(write_config(Path(folder) / "tiny.py", optimizer, more))


def build(folder: Path, optimizer: str = "SGD", more: str = "", mode: str = "train", **changes: Any) -> Any:
    """Build a runner that works in a folder."""
    from rdet.apis.build import build_runner

    cfg = copy.deepcopy(_config(optimizer, more))
    cfg.work_dir = str(folder / "run")
    cfg.experiment_name = folder.name
    cfg.merge_from_dict(changes)
    return build_runner(cfg, mode)


@functools.cache
def checkpoint(optimizer: str = "SGD", more: str = "") -> bytes:
    """Train two steps, and return the file of the checkpoint after them."""
    with tempfile.TemporaryDirectory(dir=TEMPORARY) as folder:
        build(Path(folder), optimizer, more, **{"train_cfg.max_iters": 2}).train()
        return (Path(folder) / "run" / "iter_2.pth").read_bytes()
