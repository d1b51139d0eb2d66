"""The config that a checkpoint carries."""

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from rdet.checkpoint import meta_in
from rdet.config import import_and_check
from rdet.errors import CheckpointError, RdetError
from rdet.literal_config import literal_config
from rdet.registry import names_of_parts


def saved_config(checkpoint: Mapping[str, Any], source: str) -> Config | None:
    """Read and check the config in ``meta`` of a checkpoint of rdet; its text is not executed, nor is what it names.

    A ``type`` must be a registered part: by any other name, Python would find each function there is, those that run
    programs too. Modules of ``custom_imports`` must have been imported before. The name of a network must be a plain
    one: timm takes one with a prefix, such as ``hf-hub:``, for an address and loads from there.

    Args:
        checkpoint: As :func:`rdet.checkpoint.read_checkpoint` returns it.
        source: Its path, for messages.

    Returns:
        None if it carries none.

    Raises:
        CheckpointError: The text is no config of plain values, or not one of this rdet, or names what is no part, or an
            address as a network.
    """
    text = meta_in(checkpoint).get("cfg")
    if not isinstance(text, str):
        return None
    try:
        values = literal_config(text)
        check_harmless(values)
        try:
            cfg = Config(values)
        except KeyError as error:  # a name that mmengine has another use for
            raise CheckpointError(str(error.args[0])) from error
        import_and_check(cfg)
    except RdetError as error:
        raise CheckpointError(f"the config in {source} cannot be used: {error}; give a config file") from error
    return cfg


def check_harmless(values: Mapping[str, Any]) -> None:
    """Raise CheckpointError if a config would have modules imported or files loaded, or names what is no part."""
    imports = values.get("custom_imports")
    modules = imports.get("imports") if isinstance(imports, Mapping) else None
    for module in [modules] if isinstance(modules, str) else modules if isinstance(modules, list | tuple) else ():
        if module not in sys.modules:
            raise CheckpointError(f"it asks for the module {module!r}, which is code: import it yourself")
    parts = names_of_parts()
    for name in _types(values):
        if name not in parts and ("." in name or _is_module(name)):
            raise CheckpointError(f"it names {name!r}, which is no registered part and may run code")
    for place, name in _networks(values):
        if ":" in name:  # timm's hf-hub:, hf_hub: and local-dir:; a name in timm or torchvision has none
            raise CheckpointError(f"{place} is {name!r}, an address to load from, not the name of a network")


def _types(value: Any) -> Iterator[str]:
    """Yield all strings that stand as ``type`` anywhere in a value."""
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"]
        for item in value.values():
            yield from _types(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _types(item)


def _networks(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the value of each ``model_name``: backbones name networks of other libraries so."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple | set):
        items = list(enumerate(value))
    else:
        return
    for key, item in items:
        below = f"{place}.{key}" if place else str(key)
        if key == "model_name" and isinstance(item, str):
            yield below, item
        yield from _networks(item, below)


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
