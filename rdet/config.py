"""Reading configs: inheritance, overrides, and the check that every key is one that code reads.

A config is a Python file of mmengine's kind. Top-level names are keys of rdet or begin with an
underscore, which makes them helpers of that file alone.
"""

import copy
import inspect
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
from mmengine import fileio
from mmengine.config import Config, ConfigDict

from rdet.compat import find_bases_in_rdet
from rdet.config_files import bases_of, find_config, is_of_rdet
from rdet.config_keys import ConfigKeys, Part
from rdet.errors import ConfigError, UnknownNameError
from rdet.messages import nearest, shown
from rdet.parsing import PARSING
from rdet.part_keys import check_arguments
from rdet.registry import Registry, class_of, import_custom_modules, registry_below
from rdet.schema import check_value

find_bases_in_rdet()

# Key of the top level -> what it may hold.
_KEYS = get_type_hints(ConfigKeys, include_extras=True)
TOP_LEVEL_KEYS = set(_KEYS)
_DOCS = "docs/configs.md"
_SUFFIXES = (".py", ".yml", ".yaml", ".json")
_OPTIONS = "--cfg-options"


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config file, apply overrides, import the user's modules and check every key and value.

    Args:
        path: A Python config, or the name of one that rdet brings: ``retinanet/r50_fpn_1x_coco``.
        options: Dotted key -> value, as ``--cfg-options`` gives them.

    Raises:
        MissingFileError: There is no such file.
        UnknownNameError: A key, an option or a type does not exist.
        ConfigError: The file cannot be read, or a value is none that can be used.
        MissingModuleError: ``custom_imports`` cannot import a module.
    """
    cfg = read_config(path)
    if options:
        _merge_options(cfg, options)
    _check(cfg, str(path))
    return cfg


def override(cfg: Config, options: dict[str, Any] | None, source: str | None = None) -> Config:
    """Return a config with overrides applied and checked, as :func:`load_config` does it; ``cfg`` stays as it is.

    Args:
        cfg: The config.
        options: Dotted key -> value.
        source: Where the overrides stand, for messages; None: ``--cfg-options``.
    """
    if not options:
        return cfg
    cfg = copy.deepcopy(cfg)
    _merge_options(cfg, options, source or _OPTIONS)
    _check(cfg, source or cfg.filename or "the config")
    return cfg


def _check(cfg: Config, path: str) -> None:
    try:
        import_and_check(cfg)
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def import_and_check(cfg: Config) -> None:
    """Import the user's modules that a config names, and check it as :func:`check_config` does."""
    if "custom_imports" in cfg:
        _check_value(cfg.custom_imports, _KEYS["custom_imports"], "custom_imports")
        import_custom_modules(**cfg.custom_imports)
    check_config(cfg)


def read_config(path: str | Path) -> Config:
    """Read a config file and its bases, without the names that begin with an underscore or were imported.

    A class as ``type`` is replaced by its dotted name, which can be printed, saved and found again.
    """
    path = find_config(path)
    if Path(path).suffix not in _SUFFIXES:
        raise ConfigError(f"{path} is no config, whose name ends in {', '.join(_SUFFIXES)}; give one")
    try:
        # The user's modules are imported by `load_config`, which keeps their tracebacks.
        with PARSING:
            cfg = Config.fromfile(str(path), import_custom_modules=False)
            items = list(cfg.items())  # what a config imports itself is resolved here
    except Exception as error:  # whatever a config's own code raises
        raise ConfigError(f"{path} cannot be read as a config: {_why_unreadable(error)}; correct it") from error
    for name in [name for name, value in items if name.startswith("_") or _is_imported(value)]:
        cfg.pop(name)
    for name, value in cfg.items():
        cfg[name] = _with_names_for_classes(value)
    return cfg


def _why_unreadable(error: Exception) -> str:
    """Say in one line what is wrong, and in which line of a config."""
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
    """Check every key, type and value of a config, as far as annotations say what values may be.

    Raises:
        UnknownNameError: Nothing would read a key, or there is no such type.
        ConfigError: A value is of another type than what reads it expects, or has no meaning.
    """
    _check_names(cfg, TOP_LEVEL_KEYS, "config", " (a helper variable's name begins with '_')")
    for key, value in cfg.items():
        _check_value(value, _KEYS[key], key)


def _check_value(value: Any, annotation: Any, where: str) -> None:
    """Check a value against what :mod:`rdet.config_keys` says of it, down to the last key."""
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    for choice in choices:
        part = next((mark for mark in getattr(choice, "__metadata__", ()) if isinstance(mark, Part)), None)
        if isinstance(value, dict):
            if part is not None:
                return _check_part(value, part, where)
            if is_typeddict(choice):
                hints = get_type_hints(choice, include_extras=True)
                _check_names(value, hints, where)
                if missing := sorted(choice.__required_keys__ - value.keys()):
                    raise ConfigError(f"{where} has no {', '.join(missing)}, which it needs")
                for key, item in value.items():
                    _check_value(item, hints[key], f"{where}.{key}")
                return
            if get_origin(choice) is dict:
                for key, item in value.items():
                    _check_value(item, get_args(choice)[1], f"{where}.{key}")
                return
        elif isinstance(value, list | tuple) and get_origin(choice) is list:
            for index, item in enumerate(value):
                _check_value(item, get_args(choice)[0], f"{where}.{index}")
            return
    check_value(value, annotation, where)


def _check_part(cfg: dict[str, Any], part: Part, where: str) -> None:
    """Check a dict against the class that its type names, and the parts below it against theirs."""
    kind, also = cfg.get("type", part.default(cfg)), part.also(cfg)
    if kind is not None:
        arguments = {key: value for key, value in cfg.items() if key != "type"}
        check_arguments(arguments, class_of(kind, part.registry, where), where, also)
    for key, value in cfg.items():
        place = f"{where}.{key}"
        if key in also:
            _check_value(value, also[key], place)
        elif key == "norm_cfg" and value is not None:
            from rdet.models.norms import check_norm_cfg  # mmcv's layers, which a config without one need not load

            check_norm_cfg(value, place)
        elif key == "act_cfg" and value is not None:
            from rdet.models.activations import build_activation

            build_activation(value, place)
        elif not key.endswith("_cfg"):
            _check_below(value, registry_below(key, part.registry), place)


def _check_below(value: Any, parts: Registry, where: str) -> None:
    """Check all parts that a value holds."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_below(item, parts, f"{where}.{index}")
    elif isinstance(value, dict):
        _check_part(value, Part(parts), where)


def _plain(value: Any, where: str) -> Any:
    """Return a value of Python code as one that a config file can hold: numpy's numbers become Python's.

    Raises:
        ConfigError: It is none, so that the config could not be written into the work dir.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_plain(item, f"{where}.{index}") for index, item in enumerate(value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ConfigError(
        f"{where} is {shown(value)} ({type(value).__name__}), which no config file can hold; give numbers, "
        "texts, lists and dicts"
    )


def _check_names(given: Iterable[str], valid: Collection[str], where: str, hint: str = "") -> None:
    for name in given:
        if name not in valid:
            raise UnknownNameError(f"{where} has no key {shown(name)}{hint}. {nearest(name, valid, see=_DOCS)}")


def _merge_options(cfg: Config, options: dict[str, Any], source: str = _OPTIONS) -> None:
    """Apply dotted overrides. The first part of each must exist; the rest is for :func:`check_config`."""
    for option, value in options.items():
        name, *below = option.split(".")
        if name not in TOP_LEVEL_KEYS:
            raise UnknownNameError(f"{source} has no key {shown(option)}. {nearest(name, TOP_LEVEL_KEYS, see=_DOCS)}")
        value = _plain(_with_names_for_classes(value), option)
        cfg[name] = _with(cfg.get(name), below, ConfigDict(value=value)["value"], name, source)


def _with(node: Any, below: list[str], value: Any, place: str, source: str) -> Any:
    """Put ``value`` at the path ``below`` of ``node``; a number is an index of a list, and dicts are merged."""
    if not below:
        if not (isinstance(value, dict) and isinstance(node, dict)):
            return value
        merged = Config({"node": node})
        try:
            merged.merge_from_dict({"node": value})
        except (TypeError, KeyError) as error:  # a dict where the config has something else
            raise ConfigError(f"{source}: {place} cannot be merged ({error}); give the whole of it") from error
        return merged.node
    key, *below = below
    if isinstance(node, list | tuple):
        if not key.isdigit() or int(key) >= len(node):
            raise UnknownNameError(
                f"{source}: {place} is a list of {len(node)} and has no item {key!r}; use 0 to {len(node) - 1}"
            )
        items = list(node)
        items[int(key)] = _with(items[int(key)], below, value, f"{place}.{int(key)}", source)
        return items
    if not isinstance(node, dict | None):
        raise UnknownNameError(f"{source}: {place} is {shown(node)} and has no key {shown(key)}")
    node = ConfigDict() if node is None else node
    node[key] = _with(node.get(key), below, value, f"{place}.{key}", source)
    return node


def flatten(cfg: Config | dict[str, Any]) -> dict[str, Any]:
    """Map the dotted key of every leaf to its value; lists of parts count as dicts by index."""
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
    """List what a config changes of its bases.

    Args:
        path: The config file.
        cfg: What :func:`load_config` made of it, overrides included.

    Returns:
        (dotted key, value in the bases, value now) of each difference; ``...`` where it is absent.
    """
    base: dict[str, Any] = {}
    for parent in base_files(find_config(path)):
        base |= read_config(parent).to_dict()  # bases of one config may not share a key
    before, after = flatten(base), flatten(cfg)
    keys = list(dict.fromkeys([*after, *before]))
    return [(k, before.get(k, ...), after.get(k, ...)) for k in keys if before.get(k, ...) != after.get(k, ...)]


def base_files(path: str | Path) -> list[Path]:
    """List the files that ``_base_`` of a config names."""
    if Path(path).suffix == ".py":
        bases = bases_of(Path(path).read_text(encoding="utf-8"))
    else:  # yaml or json
        found = fileio.load(str(path)).get("_base_", [])
        bases = [found] if isinstance(found, str) else found
    return [find_config(base) if is_of_rdet(base) else Path(path).parent / base for base in bases]
