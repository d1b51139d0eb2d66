"""The detectors of a comparison: configs, and the base with some of its parts swapped."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rdet.analysis.compare.swap import Change, Swap
from rdet.apis.cli import parse_options
from rdet.apis.own_data.code import code
from rdet.config import TOP_LEVEL_KEYS, flatten, load_config, override
from rdet.errors import ConfigError, UnknownNameError
from rdet.files import write_text
from rdet.messages import nearest, printable, shown
from rdet.part_keys import keys_of
from rdet.registry import MODELS, class_of
from rdet.schema import fits

# Parts whose sizes a fair swap leaves alone. Elsewhere the same key of another type means another thing: the alpha of
# the focal loss is not that of the varifocal one.
_KEEPING = ("model.neck", "model.bbox_head")
_LONGEST = 100  # characters of a folder's name


@dataclass(frozen=True)
class Variant:
    """A detector of a comparison.

    Attributes:
        name: What it is called.
        path: Its config.
        cfg: What :func:`rdet.config.load_config` makes of it, overrides included.
        folder: Name of the folder of its trainings.
        options: ``KEY=VALUE`` overrides with which it is trained.
        swap: What differs from the base, as it was written; empty for a config of its own.
        kept: What swapped parts have of the old ones, ``key=value``.
    """

    name: str
    path: Path
    cfg: Config
    folder: str
    options: tuple[str, ...] = ()
    swap: str = ""
    kept: tuple[str, ...] = ()


def variants_of(configs: Sequence[Path], options: Sequence[str] = ()) -> list[Variant]:
    """Load configs, and name each by its file with as many folders as tell it from the others.

    Raises:
        ConfigError: A config is there twice, or cannot be read.
    """
    return [
        Variant(name, path, load_config(path, parse_options(list(options))), name, tuple(options))
        for name, path in names_of(configs).items()
    ]


def swapped(base: Variant, swap: Swap, folder: Path) -> Variant:
    """Make the detector of a swap, and write its config.

    Args:
        base: What it is made of, with its overrides.
        swap: The changes.
        folder: Where the config goes.

    Raises:
        UnknownNameError: A slot, a type or a key does not exist.
        ConfigError: A value is none that can be used.
    """
    cfg, kept = base.cfg, []
    for change in swap.changes:
        cfg, of_old = _changed(cfg, change, swap.source)
        kept += of_old
    name = re.sub(r"[^\w.+-]+", "-", swap.name).strip("-.")[:_LONGEST] or "swap"
    path = folder / f"{name}.py"
    lines = [
        printable(f"# {base.path.name} with {swap.text}"),
        *(f"{key} = {code(value)}" for key, value in cfg.to_dict().items()),
    ]
    text = "\n".join(lines) + "\n"
    if not (path.exists() and path.read_text(encoding="utf-8", errors="replace") == text):
        write_text(path, text)
    return Variant(swap.name, path, cfg, name, swap=swap.text, kept=tuple(kept))


def _changed(cfg: Config, change: Change, source: str) -> tuple[Config, list[str]]:
    """Return a config with one change, and what the new part has of the old one.

    A part of another type takes the place of the old one, with its own defaults; neck and head keep the keys that both
    types have. Of a part of the same type, only the keys that are given change.
    """
    slots = _slots(cfg)
    first = change.key.partition(".")[0]
    if first not in slots and first not in TOP_LEVEL_KEYS:
        known = {*slots, *TOP_LEVEL_KEYS}
        raise UnknownNameError(f"{source}: there is no slot {shown(first)}. {nearest(first, known)}")
    key = f"model.{change.key}" if first in slots else change.key
    old = _at(cfg, key)
    is_part = (isinstance(old, Mapping) and "type" in old) or (
        old is None and slots.get(key.removeprefix("model."), False)
    )
    value = change.value(is_part, source)
    if not (isinstance(value, dict) and "type" in value and isinstance(old, Mapping)):
        return override(cfg, {key: value}, source), []
    if "type" in old and _same_type(old["type"], value["type"], source, key):
        return override(cfg, {key: {**value, "type": old["type"]}}, source), []
    kept = _common(old, value, source) if key in _KEEPING else {}
    new = override(cfg, {key: {"_delete_": True, **value, **kept}}, source)
    return new, [f"{change.key}.{name}={item}" for name, item in kept.items()]


def _slots(cfg: Config) -> dict[str, bool]:
    """Return the keys of the detector, and whether a part can stand there."""
    keys = keys_of(class_of(cfg.get("model", {}).get("type"), MODELS, "model")) or {}
    there = dict.fromkeys(cfg.get("model", {}), True)
    return {**there, **{name: fits({}, key.annotation) for name, key in keys.items()}, "type": False}


def _at(cfg: Config, key: str) -> Any:
    value: Any = cfg
    for name in key.split("."):
        if isinstance(value, list | tuple):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if hasattr(value, "get") else None
    return value


def _same_type(old: Any, new: Any, source: str, key: str) -> bool:
    """Tell whether two types are one; a class of the model may have two names."""
    if old == new or not key.startswith("model."):
        return bool(old == new)
    where = f"{source}: {key}"
    return class_of(old, MODELS, where) is class_of(new, MODELS, where)


def _common(old: Mapping[str, Any], new: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what the old part was given, and the new one takes and was not given."""
    keys = keys_of(class_of(new["type"], MODELS, source)) or {}
    return {
        name: value
        for name, value in old.items()
        if name != "type" and name in keys and name not in new and fits(value, keys[name].annotation)
    }


def differing_slots(base: Config, other: Config) -> list[str]:
    """Name where two configs differ: slots of the model (``loss_cls``), or top-level keys (``train_dataloader``)."""
    before, after = flatten(base), flatten(other)
    differing = [key for key in {**before, **after} if before.get(key, ...) != after.get(key, ...)]
    return list(dict.fromkeys(key.removeprefix("model.").split(".")[0] for key in differing))


def names_of(configs: Sequence[Path]) -> dict[str, Path]:
    """Name each config: by its file, with as many folders before it as tell it from the others.

    Raises:
        ConfigError: A config is there twice.
    """
    paths = [path.resolve() for path in configs]
    for path in paths:
        if paths.count(path) > 1:
            raise ConfigError(f"{path} is there twice; name each config once")
    names = {}
    for path in paths:
        depth = 1
        while sum(other.with_suffix("").parts[-depth:] == path.with_suffix("").parts[-depth:] for other in paths) > 1:
            depth += 1
        names["/".join(path.with_suffix("").parts[-depth:])] = path
    return names


def check_names(variants: Sequence[Variant]) -> None:
    """Raise ConfigError if two detectors would share a name or a folder, or a swap changes nothing."""
    base = variants[0]
    for number, variant in enumerate(variants):
        for other in variants[:number]:
            if variant.name == other.name or variant.folder == other.folder:
                raise ConfigError(
                    f"{variant.name!r} and {other.name!r} would be trained in one folder; name one of them, "
                    "--swap 'NAME: SLOT=TYPE'"
                )
        if variant.swap and not differing_slots(base.cfg, variant.cfg):
            raise ConfigError(f"--swap {variant.swap!r} changes nothing of {base.path}; leave it out")
