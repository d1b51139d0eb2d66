"""MMDetection's config files as rdet's."""

import os
from pathlib import Path
from typing import Any

import torch
import yaml

from rdet.config import load_config
from rdet.errors import ConfigError, RdetError
from rdet.files import writing
from rdet.interop.mmdet_config.config_text import comment, config_text
from rdet.interop.mmdet_config.data import convert_evaluators, convert_loader, convert_tta
from rdet.interop.mmdet_config.model import convert_model
from rdet.interop.mmdet_config.schedule import (
    convert_hooks,
    convert_loop,
    convert_lr_scaling,
    convert_optimizer,
    convert_run,
    convert_schedulers,
)
from rdet.interop.mmdet_config.source import Entry, Notes, read_source
from rdet.registry import MODELS

Cfg = dict[str, Any]

_FAMILIES = {
    "RetinaHead": "RetinaNet",
    "FCOSHead": "FCOS",
    "ATSSHead": "ATSS",
    "DDODHead": "DDOD",
    "GFLHead": "GFL",
    "VFNetHead": "VFNet",
    "TOODHead": "TOOD",
    "TOODAnchorHead": "TOOD on anchors",
    "YOLOHead": "YOLOv3",
    "YOLOFHead": "YOLOF",
    "SSDHead": "SSD",
}
_COCO_CLASSES = 80


def convert_config(source: str | Path, out: str | Path) -> str:
    """Write an rdet config with the numbers of a config of MMDetection 3.

    Args:
        source: The config file of MMDetection; its ``_base_`` files have to be there too.
        out: Where rdet's config goes.

    Returns:
        What it is, in one line.

    Raises:
        ConfigError: It describes what rdet does not have. The message names the file and the entry.
        MissingFileError: There is no such file.
    """
    notes = Notes()
    if Path(out).resolve() == Path(source).resolve():
        raise ConfigError(f"{out} is the source itself; give another path for rdet's config")
    try:
        cfg = as_rdet(read_source(source, notes))
    except ConfigError as error:
        raise type(error)(str(error) if str(source) in str(error) else f"{source}: {error}") from error
    title = _title(cfg)
    out = Path(out)
    part = out.with_name(f".{os.getpid()}_{out.name}")
    with writing(out):
        try:
            part.write_text(_head(title, source, out, notes) + config_text(cfg), encoding="utf-8")
        except OSError:
            part.unlink(missing_ok=True)
            raise
    try:
        _check(part)
    except RdetError as error:
        message = str(error).removeprefix(f"{part}: ")
        raise ConfigError(f"{source}: what it says cannot be built: {message}") from error
    else:
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return f"{title}, written to {out}"


def as_rdet(source: Entry) -> Cfg:
    """Convert a whole config: top-level key -> value, in the order in which they are written.

    Raises:
        ConfigError: rdet does not have something. The message names the entry.
    """
    preprocessor = source.take("data_preprocessor")
    model_source = source.required("model")
    if preprocessor is not None and "data_preprocessor" not in model_source:
        source.refuse("write it into the model, where MMDetection's own configs have it", "data_preprocessor")
    model, classes = convert_model(model_source)
    loaders = {key: _loader(source, f"{key}_dataloader", key == "train") for key in ("train", "val", "test")}
    evaluators = {
        key: convert_evaluators(source, f"{key}_evaluator", (loaders[key] or {}).get("dataset"))
        for key in ("val", "test")
    }
    if loaders["test"] == loaders["val"]:
        loaders["test"] = None
    if evaluators["test"] == evaluators["val"]:
        evaluators["test"] = []
    count = _number_of_classes(model_source, classes, loaders["train"] or loaders["val"] or loaders["test"])
    if count is not None:
        model["num_classes"] = count
    hooks, custom_hooks = convert_hooks(source)
    cfg: Cfg = {"model": model, "data_root": _common_root(loaders)}
    cfg |= {f"{key}_dataloader": loader for key, loader in loaders.items()}
    cfg |= {f"{key}_evaluator": found[0] if len(found) == 1 else found for key, found in evaluators.items()}
    cfg["train_cfg"] = convert_loop(source)
    optimizer = source.entry("optim_wrapper")
    cfg["optim_wrapper"] = None if optimizer is None else convert_optimizer(optimizer)
    cfg["param_scheduler"] = convert_schedulers(source)
    cfg |= {"auto_scale_lr": convert_lr_scaling(source), "default_hooks": hooks, "custom_hooks": custom_hooks}
    cfg |= convert_tta(source) | convert_run(source)
    source.finish_below()
    return {key: value for key, value in cfg.items() if value or value is False}


def _loader(source: Entry, key: str, train: bool) -> Cfg | None:
    loader = source.entry(key)
    return None if loader is None else convert_loader(loader, train)


def _number_of_classes(model: Entry, count: int, loader: Cfg | None) -> int | None:
    """Say the number of classes unless it is COCO's; it must be that of the data set's names, if there are any."""
    names = {
        tuple(dataset["metainfo"]["classes"])
        for dataset in _innermost((loader or {}).get("dataset"))
        if "metainfo" in dataset
    }
    for found in names:
        if len(found) != count:
            model.refuse(
                f"is {count}, but the data set's metainfo has {len(found)} classes ({', '.join(found[:5])})",
                "bbox_head.num_classes",
            )
    return None if count == _COCO_CLASSES else count


def _common_root(loaders: dict[str, Cfg | None]) -> str | None:
    """Take the folder that all data sets share out of them."""
    datasets = [dataset for loader in loaders.values() if loader for dataset in _innermost(loader["dataset"])]
    roots = {dataset.get("data_root") for dataset in datasets}
    if len(roots) != 1 or roots == {None}:
        return None
    for dataset in datasets:
        dataset.pop("data_root", None)
    return roots.pop()


def _innermost(dataset: Cfg | None) -> list[Cfg]:
    if dataset is None:
        return []
    wrapped = dataset.get("datasets") or ([dataset["dataset"]] if "dataset" in dataset else None)
    return [dataset] if wrapped is None else [found for inner in wrapped for found in _innermost(inner)]


def _check(path: Path) -> None:
    """Load a written config, which checks each key, and build its model without memory."""
    cfg = load_config(path)
    with torch.device("meta"):
        MODELS.build(
            cfg.model, default_args={"num_classes": cfg.model.get("num_classes") or _COCO_CLASSES}, where="model"
        )


def _title(cfg: Cfg) -> str:
    backbone, neck = cfg["model"]["backbone"], cfg["model"]["neck"]
    family = _FAMILIES[cfg["model"]["bbox_head"]["type"]]
    if family == "YOLOv3":
        return f"YOLOv3 with {'Darknet-53' if backbone['type'] == 'Darknet53' else 'MobileNetV2'}"
    if family == "SSD":
        return f"SSD{cfg['model']['anchor_generator'].get('image_size', '')} with VGG-16"
    name = backbone.get("model_name") or f"{backbone['type']}-{backbone['depth']}"
    if backbone.get("groups", 1) > 1:
        name = f"ResNeXt-{backbone['depth']}-{backbone['groups']}x{backbone['base_width']}d"
    if backbone.get("dcn_stages"):
        name += "-DCNv2" if backbone.get("dcn_modulated", True) else "-DCN"
    family = "PAA" if cfg["model"]["assigner"]["type"] == "PAAAssigner" else family
    necks = [] if family == "YOLOF" else [part["type"] for part in neck.get("necks", [neck])]
    return f"{family} with {'-'.join([name, *necks])}"


def _head(title: str, source: str | Path, out: Path, notes: Notes) -> str:
    """Write the first lines: what it is, the command, what it should reach and what was left out."""
    published = published_ap(source)
    reach = (
        f"MMDetection lists {published} box AP on val2017 for its own." if published else "There is no figure for it."
    )
    lines = [
        comment(f"{title}, with MMDetection's numbers, converted from {source}."),
        f"#   python tools/train.py {out}\n",
        comment(f"{reach} Not trained by this project."),
    ]
    if notes:
        lines.append(comment(f"Left out: {'; '.join(notes)}."))
    return "".join([*lines, *map(comment, notes.remarks)])


def published_ap(source: str | Path) -> float | None:
    """Look the box AP of a config up in the ``metafile.yml`` of its folder; None if it is not there."""
    path = Path(source).parent / "metafile.yml"
    try:
        models = yaml.safe_load(path.read_text(encoding="utf-8")).get("Models") or ()
    except (OSError, yaml.YAMLError, AttributeError):
        return None
    for model in models:
        if str(model.get("Config", "")).rpartition("/")[2] == Path(source).name:
            for result in model.get("Results") or ():
                if "box AP" in (result.get("Metrics") or {}):
                    ap: float = result["Metrics"]["box AP"]
                    return ap
    return None
