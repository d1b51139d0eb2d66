"""Reading configs: inheritance, overrides, and the check that every key is one that code reads.

A config is a Python file of mmengine's kind. Top-level names are keys of rdet or begin with an
underscore, which makes them helpers of that file alone.
"""

import ast
import copy
import inspect
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from rdet import registry
from rdet.errors import ConfigError, MissingFileError, UnknownNameError
from rdet.messages import nearest
from rdet.registry import Registry, check_keys, class_of, import_custom_modules

# Where `type` is looked up below each top-level key that holds parts.
_REGISTRY_OF = {
    "model": registry.MODELS,
    "dataset": registry.DATASETS,
    "datasets": registry.DATASETS,
    "pipeline": registry.TRANSFORMS,
    "transforms": registry.TRANSFORMS,
    "optim_wrapper": registry.OPTIM_WRAPPERS,
    "optimizer": registry.OPTIMIZERS,
    "param_scheduler": registry.PARAM_SCHEDULERS,
    "tta_model": registry.MODELS,
    "tta_pipeline": registry.TRANSFORMS,
    "val_evaluator": registry.METRICS,
    "test_evaluator": registry.METRICS,
    "default_hooks": registry.HOOKS,
    "custom_hooks": registry.HOOKS,
    "log_processor": registry.LOG_PROCESSORS,
    "visualizer": registry.VISUALIZERS,
    "vis_backends": registry.VISBACKENDS,
}
_OTHER_KEYS = {
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "train_cfg",
    "auto_scale_lr",
    "randomness",
    "env_cfg",
    "data_root",
    "work_dir",
    "load_from",
    "resume",
    "log_level",
    "experiment_name",
    "custom_imports",
    # Read by mmengine's Runner itself.
    "find_unused_parameters",
    "activation_checkpointing",
    "compile",
    "sync_bn",
}
TOP_LEVEL_KEYS = {*_REGISTRY_OF, *_OTHER_KEYS} - {
    "dataset",
    "datasets",
    "pipeline",
    "transforms",
    "optimizer",
    "vis_backends",
}

# What a dict without a `type` is.
_DEFAULT_TYPES = {"optim_wrapper": "OptimWrapper", "log_processor": "LogProcessor", "visualizer": "Visualizer"}

# Which image comes when is rdet's business: torch would refuse these beside the Runner's own.
_SET_BY_RUNNER = {"sampler", "batch_sampler", "shuffle", "drop_last"}

# Keys of dicts that no class reads by itself.
_PLAIN_KEYS = {
    "auto_scale_lr": {"enable", "base_batch_size"},
    "randomness": {"seed", "deterministic"},
    "env_cfg": {"cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"},
    "env_cfg.mp_cfg": {"mp_start_method", "opencv_num_threads"},
    "custom_imports": {"imports", "allow_failed_imports"},
    "default_hooks": {"runtime_info", "timer", "logger", "param_scheduler", "checkpoint", "loss_check"},
    "optim_wrapper.paramwise_cfg": {
        *("custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "flat_decay_mult"),
        *("dwconv_decay_mult", "dcn_offset_lr_mult", "bypass_duplicate"),
    },
    "optim_wrapper.paramwise_cfg.custom_keys.*": {"lr_mult", "decay_mult"},
    # `type` is "norm" or "value"; the rest is of torch's functions of these names.
    "optim_wrapper.clip_grad": {"type", "max_norm", "norm_type", "error_if_nonfinite", "foreach", "clip_value"},
}

# Whole numbers, and the smallest of them that has a meaning.
_SMALLEST = {
    "*_dataloader.batch_size": 1,
    "*_dataloader.num_workers": 0,
    "train_cfg.max_iters": 1,
    "train_cfg.max_epochs": 1,
    "train_cfg.val_interval": 1,
    "randomness.seed": 0,
    "auto_scale_lr.base_batch_size": 1,
    "optim_wrapper.accumulative_counts": 1,
    "model.bbox_head.stacked_convs": 0,
    "model.postprocess.max_per_img": 1,
    "model.assigner.chunk_size": 1,
}


def load_config(path: str | Path, options: dict | None = None) -> Config:
    """Reads a config file, applies overrides, imports the user's modules and checks every key.

    Args:
        path: A Python config.
        options: Dotted key -> value, as ``--cfg-options`` gives them.

    Raises:
        MissingFileError: There is no such file.
        UnknownNameError: A key, an option or a type does not exist.
    """
    cfg = read_config(path)
    if options:
        _merge_options(cfg, options)
    _check(cfg, str(path))
    return cfg


def override(cfg: Config, options: dict | None) -> Config:
    """A config with overrides applied and checked, as :func:`load_config` does it; ``cfg`` stays as it is."""
    if not options:
        return cfg
    cfg = copy.deepcopy(cfg)
    _merge_options(cfg, options)
    _check(cfg, cfg.filename or "the config")
    return cfg


def _check(cfg: Config, path: str) -> None:
    for key in ("model", "optim_wrapper", *_PLAIN_KEYS):
        if key in cfg and not isinstance(cfg[key], dict):
            raise ConfigError(f"{path}: {key} is {cfg[key]!r}; it must be a dict, or be left out")
    if "custom_imports" in cfg:
        _check_names(cfg.custom_imports, _PLAIN_KEYS["custom_imports"], f"{path}: custom_imports")
        import_custom_modules(**cfg.custom_imports)
    try:
        check_config(cfg)
        check_numbers(cfg)
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_config(path: str | Path) -> Config:
    """Reads a config file and its bases, without the names that begin with an underscore or were imported.

    A class as ``type`` is replaced by its dotted name, which can be printed, saved and found again.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no config at {path}")
    try:
        # The user's modules are imported by `load_config`, which keeps their tracebacks.
        cfg = Config.fromfile(str(path), import_custom_modules=False)
        items = list(cfg.items())  # what a config imports itself is resolved here
    except Exception as error:  # whatever a config's own code raises
        raise ConfigError(f"{path} cannot be read as a config: {_why_unreadable(error)}") from error
    for name in [name for name, value in items if name.startswith("_") or _is_imported(value)]:
        cfg.pop(name)
    for name, value in cfg.items():
        cfg[name] = _with_names_for_classes(value)
    return cfg


def _why_unreadable(error: Exception) -> str:
    """One line: what is wrong, and in which line of a config."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, RecursionError):
        return "its _base_ files are a circle"
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def _is_imported(value: Any) -> bool:
    return inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)


def _with_names_for_classes(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)({key: _with_names_for_classes(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return type(value)(_with_names_for_classes(item) for item in value)
    return f"{value.__module__}.{value.__qualname__}" if _is_imported(value) and not inspect.ismodule(value) else value


def check_config(cfg: Config) -> None:
    """Raises :class:`UnknownNameError` for the first key or type in ``cfg`` that nothing would read."""
    _check_names(cfg, TOP_LEVEL_KEYS, "config", " (a helper variable's name begins with '_')")
    for pattern, names in _PLAIN_KEYS.items():
        if pattern.startswith("optim_wrapper.paramwise_cfg") and "constructor" in cfg.get("optim_wrapper", {}):
            continue  # its business
        for place, value in _places(cfg, pattern.split(".")):
            if not isinstance(value, dict):
                raise ConfigError(f"{place} is {value!r}; it must be a dict")
            _check_names(value, names, place)
    for key, value in cfg.items():
        if key.endswith("_dataloader") and value is not None:
            from torch.utils.data import DataLoader

            _check_names(value, set(inspect.signature(DataLoader).parameters) - _SET_BY_RUNNER, key)
        if key == "train_cfg" and value is not None:
            loop = registry.LOOPS.get("EpochBasedTrainLoop" if value.get("by_epoch", True) else "IterBasedTrainLoop")
            check_keys(set(value) - {"by_epoch"}, loop, key)
        if key in _DEFAULT_TYPES and isinstance(value, dict):
            value = {"type": _DEFAULT_TYPES[key], **value}
        if key == "optim_wrapper":
            wrapper = class_of(value["type"], registry.OPTIM_WRAPPERS, key)
            check_keys(set(value) - {"type", "paramwise_cfg", "constructor"}, wrapper, key)
            _check_parts(value.get("optimizer"), registry.OPTIMIZERS, "optim_wrapper.optimizer")
        elif key == "param_scheduler":
            _check_parts(value, registry.PARAM_SCHEDULERS, key, extra={"convert_to_iter_based"})
        else:
            _check_parts(value, _REGISTRY_OF.get(key), key)


def check_numbers(cfg: Config) -> None:
    """Raises ConfigError for the first of the numbers in ``_SMALLEST`` that is none, or too small."""
    for pattern, smallest in _SMALLEST.items():
        for place, value in _places(cfg, pattern.split(".")):
            if value is not None and not (isinstance(value, int) and value >= smallest):
                raise ConfigError(f"{place} is {value!r}; it must be a whole number of {smallest} or more")


def _places(node: Any, pattern: list[str], place: str = "") -> Iterator[tuple[str, Any]]:
    """Where a dotted key leads, and what stands there; a ``*`` in a name stands for anything. Nothing where it ends."""
    if not pattern:
        yield place, node
    elif isinstance(node, dict | Config):
        for key, value in node.items():
            if fnmatch(key, pattern[0]) and not (len(pattern) == 1 and value is None):
                yield from _places(value, pattern[1:], f"{place}.{key}" if place else key)


def _check_parts(value: Any, parts: Registry | None, where: str, extra=frozenset()) -> None:
    """Checks every dict with a ``type`` below ``value`` against the class that the type names."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_parts(item, parts, f"{where}.{index}", extra)
    if not isinstance(value, dict):
        return
    if "type" in value and parts is not None:
        check_keys(set(value) - {"type"} - extra, class_of(value["type"], parts, where), where)
    for key, item in value.items():
        if key == "norm_cfg" and item is not None:
            from rdet.models.norms import check_norm_cfg  # mmcv's layers, which a config without one need not load

            check_norm_cfg(item, f"{where}.{key}")
        if not key.endswith("_cfg"):
            _check_parts(item, _REGISTRY_OF.get(key, parts), f"{where}.{key}", extra)


def _check_names(given, valid, where: str, hint: str = "") -> None:
    for name in given:
        if name not in valid:
            raise UnknownNameError(f"{where} has no key {name!r}{hint}. {nearest(name, valid)}")


def _merge_options(cfg: Config, options: dict) -> None:
    """Applies dotted overrides. The first part of each must exist; the rest is for :func:`check_config`."""
    for option, value in options.items():
        name, *below = option.split(".")
        if name not in TOP_LEVEL_KEYS:
            raise UnknownNameError(f"--cfg-options has no key {option!r}. {nearest(name, TOP_LEVEL_KEYS)}")
        cfg[name] = _with(cfg.get(name), below, ConfigDict(value=value)["value"], name)


def _with(node: Any, below: list[str], value: Any, place: str) -> Any:
    """``node`` with ``value`` at the path ``below``; a number is an index of a list, and dicts are merged."""
    if not below:
        if not (isinstance(value, dict) and isinstance(node, dict)):
            return value
        merged = Config({"node": node})
        merged.merge_from_dict({"node": value})
        return merged.node
    key, *below = below
    if isinstance(node, list | tuple):
        if not key.isdigit() or int(key) >= len(node):
            raise UnknownNameError(
                f"--cfg-options: {place} is a list of {len(node)} and has no item {key!r}; use 0 to {len(node) - 1}"
            )
        key, node = int(key), list(node)
        node[key] = _with(node[key], below, value, f"{place}.{key}")
        return node
    if not isinstance(node, dict | None):
        raise UnknownNameError(f"--cfg-options: {place} is {node!r} and has no key {key!r}")
    node = ConfigDict() if node is None else node
    node[key] = _with(node.get(key), below, value, f"{place}.{key}")
    return node


def flatten(cfg: Config | dict) -> dict[str, Any]:
    """Dotted key -> value for every leaf; lists of parts count as dicts by index."""
    leaves: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict) and (value or not key):
            for name, item in value.items():
                walk(item, f"{key}.{name}" if key else name)
        elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                walk(item, f"{key}.{index}")
        else:
            leaves[key] = value

    walk(cfg._cfg_dict if isinstance(cfg, Config) else cfg, "")
    return leaves


def changes(path: str | Path, cfg: Config) -> list[tuple[str, Any, Any]]:
    """What a config changes of its bases.

    Args:
        path: The config file.
        cfg: What :func:`load_config` made of it, overrides included.

    Returns:
        (dotted key, value in the bases, value now) of each difference; ``...`` where it is absent.
    """
    base: dict = {}
    for parent in base_files(path):
        base |= read_config(parent).to_dict()  # bases of one config may not share a key
    before, after = flatten(base), flatten(cfg)
    keys = list(dict.fromkeys([*after, *before]))
    return [(k, before.get(k, ...), after.get(k, ...)) for k in keys if before.get(k, ...) != after.get(k, ...)]


def base_files(path: str | Path) -> list[Path]:
    """The files that ``_base_`` of a config names."""
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_base_":
            bases = ast.literal_eval(node.value)
            return [Path(path).parent / base for base in ([bases] if isinstance(bases, str) else bases)]
    return []
