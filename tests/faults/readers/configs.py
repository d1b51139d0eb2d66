"""Configs whose keys, values and types are odd: loaded, built, run for a step and evaluated."""

import copy
import functools
import gc
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from random import Random
from typing import Any

import cv2
import numpy as np
import torch
from fuzz import Case, Reader
from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin

from rdet import registry
from rdet.apis.build import build_runner
from rdet.config import load_config, read_config
from rdet.errors import RdetError
from rdet.part_keys import keys_of
from rdet.registry import registry_below

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "tests"))  # the tiny backbone

# Every kind of value that is wrong somewhere.
VALUES = [
    None, True, False, 0, 1, -1, 0.5, -0.5, 3.7, 1e30, -1e30, 2**32, 2**63, 10**400, math.nan, math.inf, -math.inf,
    "", "abc", "None", "1", "auto", "../..", "\0", "\ud800", "x" * 5000,
    [], [None], [0], [-1], [1, 2, 3], ["a"], [[]], [math.nan], [1e30], [1, 2], [0.5, -0.5],
    {}, {"type": "abc"}, {"type": 3}, {"type": None}, {"type": ""}, {"a": 1}, {"type": "FocalLoss"},
    [{}], [{"type": "abc"}],
]  # fmt: skip

# Models of all families, in the smallest form that has all their parts.
MODELS = [
    *(f"swaps/detectors/{name}.py" for name in ("atss", "fcos", "fcos_iccv2019", "gfl", "tood", "vfnet")),
    *(f"swaps/quickstart/{path.name}" for path in sorted((ROOT / "configs/swaps/quickstart").glob("*.py"))),
    "nanodet/nanodet_m_416_coco.py",
    "retinanet/r50_fpn_1x_coco_fl_star.py",
    "retinanet/r50_fpn_1x_coco_softmax_focal_loss.py",
    "retinanet/r50_fpn_torchvision.py",
]
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1)},
    {"type": "RandomChoiceResize", "scales": [(64, 64), (96, 64)], "keep_ratio": True},
    {"type": "PhotoMetricDistortion"},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "RandomCrop", "crop_size": (48, 48)},
    {"type": "Resize", "scale": (64, 64), "keep_ratio": True},
    {"type": "PackDetInputs"},
]
MIX = [
    {"type": "Mosaic", "img_scale": 32},
    {"type": "LargeScaleJitter", "scale": 64, "ratio_range": (0.5, 2.0)},
    {"type": "MixUp", "prob": 1.0},
    {"type": "CopyPaste"},
    {"type": "PackDetInputs"},
]
SCHEDULERS = [
    [{"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 2}],
    [{"type": "MultiStepLR", "by_epoch": False, "begin": 0, "end": 9, "milestones": [1], "gamma": 0.1}],
    [{"type": "CosineAnnealingLR", "by_epoch": False, "begin": 0, "T_max": 4, "eta_min_ratio": 0.01}],
    [{"type": "CosineRestartLR", "by_epoch": False, "periods": [1, 2], "restart_weights": [1.0, 1.0], "eta_min": 0.0}],
    [{"type": "PolyLR", "by_epoch": False, "power": 0.9, "begin": 0, "end": 4}],
]
OPTIMIZERS = [
    {"type": "SGD", "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0001, "nesterov": True},
    {"type": "AdamW", "lr": 0.001, "betas": (0.9, 0.999), "weight_decay": 0.05},
    {"type": "Adam", "lr": 0.001, "eps": 1e-8, "weight_decay": 0.1},
]


def write_data(folder: Path) -> None:
    """Write two images with a box each."""
    rng = np.random.default_rng(0)
    truth: dict[str, list] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "bright"}]}
    for number in (1, 2):
        image = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
        image[8:40, 8:40] = 230
        cv2.imwrite(str(folder / f"{number}.png"), image)
        truth["images"].append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}
        truth["annotations"].append(box)
    (folder / "truth.json").write_text(json.dumps(truth))


@functools.cache
def _model(name: str) -> dict[str, Any]:
    model = read_config(ROOT / "configs" / name).to_dict()["model"]
    backbone = model["backbone"]
    if backbone["type"] != "TorchvisionBackbone":
        backbone = {"type": "ResNet", "depth": 18, "frozen_stages": 1, "norm_eval": True}
    model["backbone"] = {**backbone, "weights": None}
    model.pop("num_classes", None)
    model["neck"]["out_channels"] = 16
    model["bbox_head"] |= {"feat_channels": 16, "stacked_convs": 1}
    return model


def make_config(rng: Random, folder: Path) -> dict[str, Any]:
    """Make a config of a run of a few seconds, with as many parts as one can have."""
    data = {"type": "CocoDataset", "data_root": str(folder), "ann_file": "truth.json"}
    dataset = {**data, "pipeline": copy.deepcopy(PIPELINE)}
    if rng.random() < 0.3:
        inner = {**data, "pipeline": copy.deepcopy(PIPELINE[:5])}
        dataset = {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": copy.deepcopy(MIX), "stop_iter": 5}
    by_epoch = rng.random() < 0.3
    return {
        "model": copy.deepcopy(_model(rng.choice(MODELS))),
        "train_dataloader": {"batch_size": 2, "num_workers": 0, "dataset": dataset},
        "val_dataloader": {
            "batch_size": 2,
            "num_workers": 0,
            "dataset": {**data, "test_mode": True, "pipeline": [PIPELINE[0], *copy.deepcopy(PIPELINE[-2:])]},
        },
        "val_evaluator": {"type": "CocoMetric"},
        "train_cfg": {"by_epoch": by_epoch, "max_epochs" if by_epoch else "max_iters": 1, "val_interval": 1},
        "optim_wrapper": {
            "type": "OptimWrapper",
            "optimizer": copy.deepcopy(rng.choice(OPTIMIZERS)),
            "clip_grad": {"max_norm": 35.0, "norm_type": 2},
            "accumulative_counts": 1,
            "paramwise_cfg": {"norm_decay_mult": 0.0, "custom_keys": {"backbone": {"lr_mult": 0.1}}},
        },
        "param_scheduler": copy.deepcopy(rng.choice(SCHEDULERS)),
        "auto_scale_lr": {"enable": True, "base_batch_size": 16},
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 1},
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "coco/bbox_mAP", "rule": "greater"},
            "loss_check": {"type": "LossCheckHook"},
        },
        "custom_hooks": [{"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.01}],
        "randomness": {"seed": 0, "deterministic": False},
        "log_level": "ERROR",
        "env_cfg": {"cudnn_benchmark": False},
        "load_from": None,
        "resume": False,
    }


def places(node: Any, parts: registry.Registry | None = None, at: str = "") -> Iterator[tuple[str, Any]]:
    """List the dotted key of every value, and those that a part could be given besides, with what stands there."""
    if at:
        yield at, node
    if isinstance(node, dict):
        kind, parts = node.get("type"), parts or _TOP.get(at)
        for key, value in node.items():
            yield from places(value, parts and registry_below(key, parts), f"{at}.{key}" if at else key)
        if isinstance(kind, str) and parts is not None:
            for key in sorted((keys_of(parts.get(kind)) or {}).keys() - node.keys()):
                yield f"{at}.{key}", None
    elif isinstance(node, list) and all(isinstance(item, dict) for item in node):
        for index, item in enumerate(node):
            yield from places(item, parts, f"{at}.{index}")


_TOP = {
    "model": registry.MODELS,
    "train_dataloader.dataset": registry.DATASETS,
    "val_dataloader.dataset": registry.DATASETS,
    "val_evaluator": registry.METRICS,
    "optim_wrapper": registry.OPTIM_WRAPPERS,
    "optim_wrapper.optimizer": registry.OPTIMIZERS,
    **{f"param_scheduler.{index}": registry.PARAM_SCHEDULERS for index in range(3)},
    **{f"custom_hooks.{index}": registry.HOOKS for index in range(3)},
    **{f"default_hooks.{name}": registry.HOOKS for name in ("logger", "checkpoint", "loss_check")},
}


def neighbours(rng: Random, value: Any) -> list[Any]:
    """List what looks like a value and is none that was meant."""
    near = [str(value), [value], {"type": value}]
    if isinstance(value, int | float):
        near += [-value, value * 1000, value + 0.5]
    if isinstance(value, str):
        near += [value + "x", value[:-1], value.lower(), value.upper(), f" {value}"]
    if isinstance(value, list | tuple):
        near += [
            [*value, *value],
            list(value[1:]),
            list(reversed(value)),
            {str(i): item for i, item in enumerate(value)},
        ]
    if isinstance(value, dict):
        near += [{key: item for key, item in value.items() if key != rng.choice(list(value) or [""])}, list(value)]
    return near


def train(path: Path, options: dict[str, Any], folder: Path) -> None:
    """Load a config, and train and evaluate with it."""
    try:
        cfg = load_config(path, options)
        cfg.work_dir = str(folder / "run")
        build_runner(cfg).train()
    finally:
        for kind in ManagerMixin.__subclasses__():  # each run leaves its log and its messages
            kind._instance_dict.clear()
        MMLogger._instance_dict.clear()
        torch.use_deterministic_algorithms(False)
        gc.collect()


def odd_value(rng: Random, folder: Path) -> Case:
    """Put an odd value at any place of a config, set in it already or not."""
    write_data(folder)
    config = make_config(rng, folder)
    place, now = rng.choice(list(places(config)))
    value = rng.choice([*VALUES, *neighbours(rng, now)])
    path = folder / "odd.py"
    path.write_text("\n".join(f"{key} = {pformat(part)}" for key, part in config.items()))
    if "outfile_prefix" in place or "out_dir" in place:  # where it writes is the user's choice
        value = rng.choice([None, 3, []])
    key = next((part for part in reversed(place.split(".")) if not part.isdigit()), place)

    def read() -> None:
        try:
            train(path, {place: value}, folder)
        except RdetError as error:
            if not any(name in str(error) for name in (key, place.partition(".")[0], str(value))):
                raise AssertionError(f"names neither {key} nor its value: {error}") from None
            raise

    return Case(read, shown=f"{place} = {value!r}"[:300])


READERS = [Reader("config_values", odd_value, cases=15, seconds=60)]
