"""Writes the config of a training on somebody's data."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdet.apis.data_cfg import innermost
from rdet.apis.own_data.backbones import backbone_keys, with_channels
from rdet.apis.own_data.code import Raw, code
from rdet.apis.own_data.parts import Parts, read_parts
from rdet.apis.own_data.pipeline import loaded, resized
from rdet.apis.own_data.schedule import Schedule
from rdet.apis.time_limit import keys_of
from rdet.config import load_config, read_config
from rdet.config_files import CONFIGS
from rdet.datasets.depth import ValueRange
from rdet.datasets.folders import look_at
from rdet.errors import ConfigError
from rdet.files import write_text

_BATCH_SIZE = 4
_DATA_KEYS = ("type", "ann_file", "data_prefix", "split", "image_list")  # in this order


@dataclass(frozen=True)
class Wishes:
    """What a user may say of a training; None leaves it to the data or to the config.

    Attributes:
        epochs: How often each image is seen.
        minutes: How long the training takes, in place of that.
        batch_size: Images of a step of a process.
        image_size: Longer side of the images, in pixels.
        backbone: One of ``BACKBONES``.
        group_by: How images that stay together are told by their names.
        data_format: One of ``FORMATS``, where the folder has several.
        value_range: Of images of more than 8 bits, the values that become 0 and 255, or ``'image'``.
        channels: Of the images; None: three, which are made of grey ones.
    """

    epochs: int | None = None
    minutes: float | None = None
    batch_size: int | None = None
    image_size: int | None = None
    backbone: str | None = None
    group_by: str | None = None
    data_format: str | None = None
    value_range: ValueRange = None
    channels: int | None = None

    def loading(self) -> dict[str, Any]:
        """Return the arguments of ``LoadImageFromFile`` that are asked for."""
        return {key: value for key in ("value_range", "channels") if (value := getattr(self, key)) is not None}


def prepare(base: str, data: str, work_dir: str, wishes: Wishes, processes: int = 1) -> tuple[Path, list[str]]:
    """Look at a folder of data and write a config that trains on it.

    Args:
        base: Path of the config whose model is trained.
        data: The folder.
        work_dir: Of the training; the config and lists of images go into its folder ``data``.
        wishes: What the user says.
        processes: That share the training.

    Returns:
        The config, and what was found and decided, a line each.

    Raises:
        DatasetError: The folder cannot be read.
        ConfigError: The config has no single data set to replace.
    """
    folder = Path(work_dir) / "data"
    cfg = load_config(base)
    parts = read_parts(look_at(data, wishes.data_format), folder, wishes.group_by)
    batch_size = min(wishes.batch_size or _BATCH_SIZE, parts.images["train"])
    schedule = Schedule.of(parts.images["train"], batch_size * processes, wishes.epochs, _goes_by_share(cfg))
    text = (
        _header(base, data, parts, work_dir)
        + _data(cfg, parts, data, batch_size, wishes)
        + _training(cfg, schedule, wishes)
    )
    path = folder / "config.py"
    write_text(path, text)
    read_config(path)
    length = schedule.describe() if wishes.minutes is None else _describe(wishes.minutes)
    return path, [*parts.notes, length, f"config: {path}"]


def _header(base: str, data: str, parts: Parts, work_dir: str) -> str:
    path = Path(base).resolve()
    inherited = f"rdet::{path.relative_to(CONFIGS).as_posix()}" if path.is_relative_to(CONFIGS) else str(path)
    notes = "".join(f"# {note}\n" for note in parts.notes)
    return (
        f"# A training on {os.path.abspath(data)}, written by 'rdet train --data'.\n"
        "#   rdet train THIS_FILE\n# trains with it again, changed as you like; with --data it is written anew.\n"
        f"{notes}_base_ = {code(inherited)}\n\nwork_dir = {code(os.path.abspath(work_dir))}\n"
    )


def _data(cfg: Any, parts: Parts, data: str, batch_size: int, wishes: Wishes) -> str:
    loaders = {split: cfg.get(f"{split}_dataloader") or cfg.get("val_dataloader") for split in parts.cfgs}
    lines = [
        f"data_root = {code(os.path.abspath(data))}\n",
        "# The classes, in the order of their labels.\n",
        f"_classes = {code(tuple(parts.classes))}\n",
    ]
    for split, part in parts.cfgs.items():
        loader = copy.deepcopy(loaders[split])
        if loader is None:
            raise ConfigError(f"the config has no {split}_dataloader; give one that has")
        part = {key: part[key] for key in _DATA_KEYS if key in part} | {"metainfo": {"classes": Raw("_classes")}}
        if split != "train":
            part["test_mode"] = True
        part["on_bad_image"] = parts.cfgs[split]["on_bad_image"]
        loader["dataset"] = _replaced(loader["dataset"], part, wishes)
        if split == "train":
            loader["batch_size"] = batch_size
        anew = {"_delete_": True} if cfg.get(f"{split}_dataloader") else {}
        lines.append(f"{split}_dataloader = {code({**anew, **_plain(loader)})}\n")
    if "test" not in parts.cfgs and cfg.get("test_dataloader"):
        lines.append("test_dataloader = None  # tests are on what is validated on\n")
    for name in ("val_evaluator", "test_evaluator"):
        if cfg.get(name) or name == "val_evaluator":
            lines.append(f'{name} = [dict(type="CocoMetric")]\n')
    return "".join(lines) + "\n"


def _replaced(dataset: Any, part: dict, wishes: Wishes) -> dict:
    """Put other data into a data set of the config, or into the one that it wraps."""
    inner = list(innermost(dataset))
    if len(inner) > 1:
        raise ConfigError(f"the config joins {len(inner)} data sets; give one with a single data set for --data")
    pipeline = [_plain(step) for step in inner[0].get("pipeline", ())]
    inner[0].clear()
    inner[0].update({**part, "pipeline": loaded(resized(pipeline, wishes.image_size), wishes.loading())})
    return dataset


def _training(cfg: Any, schedule: Schedule, wishes: Wishes) -> str:
    model: dict[str, Any] = backbone_keys(wishes.backbone) if wishes.backbone else {}
    if wishes.channels not in (None, 3):
        model = with_channels(model, wishes.channels)
    optimizer = cfg.optim_wrapper.optimizer.type
    faster = (schedule.is_short or wishes.minutes is not None) and optimizer == "SGD"
    lines = []
    head = cfg.model.get("bbox_head") or {}  # a detector that is not made of parts has none
    if faster and head.get("type") == "RetinaHead" and not head.get("norm_cfg"):
        model.setdefault("bbox_head", {})["norm_cfg"] = {"type": "GN", "num_groups": 16}
    if model:
        lines.insert(0, f"model = {code(model)}\n")
    if wishes.minutes is not None:
        lines.append(f"# {_describe(wishes.minutes)}.\n")
        lines += [f"{key} = {code(value)}\n" for key, value in keys_of(wishes.minutes).items()]
    else:
        lines += _of_epochs(schedule, cfg)
    if faster:
        lines.append(
            "# In so few steps, AdamW and a normalised head get further than SGD and a plain one.\n"
            "optim_wrapper = dict(\n"
            '    optimizer=dict(_delete_=True, type="AdamW", lr=0.0007, weight_decay=0.05),\n'
            "    clip_grad=dict(max_norm=5.0),\n"
            ")\n"
            "auto_scale_lr = dict(enable=True, base_batch_size=8)\n"
        )
    return "".join(lines)


def _of_epochs(schedule: Schedule, cfg: Any) -> list[str]:
    train_cfg = {"_delete_": True, "by_epoch": True, "max_epochs": schedule.epochs, "val_interval": schedule.interval}
    schedulers: list[dict] = []
    if schedule.is_the_configs:
        schedulers += [_plain(part) for part in _schedulers(cfg)]
    elif schedule.warmup:
        schedulers.append(
            {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": schedule.warmup}
        )
    if schedule.milestones and not schedule.is_the_configs:
        step = {"type": "MultiStepLR", "by_epoch": True, "begin": 0, "end": schedule.epochs}
        schedulers.append({**step, "milestones": list(schedule.milestones), "gamma": 0.1})
    return [
        f"# {schedule.describe()}.\n",
        f"train_cfg = {code(train_cfg)}\nparam_scheduler = {code(schedulers)}\n",
        f"default_hooks = dict(checkpoint=dict(interval={schedule.interval}, by_epoch=True))\n",
    ]


def _goes_by_share(cfg: Any) -> bool:
    """Tell whether the config's schedule follows a run of any length."""
    return [part["type"] for part in _schedulers(cfg)] == ["WarmupCosineLR"]


def _schedulers(cfg: Any) -> list[dict]:
    found = cfg.get("param_scheduler") or []
    return [found] if isinstance(found, dict) else list(found)


def _describe(minutes: float) -> str:
    return f"{minutes:g} minutes: as many iterations as fit, up to 4 evaluations and checkpoints among them"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, str):
        return type(value)(_plain(item) for item in value)
    return value
