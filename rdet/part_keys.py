"""The keys that a config may give a part: the parameters of its constructor, and of what that passes ``**kwargs`` to.

A part is a class or a function that a config names by ``type``.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from rdet.errors import ConfigError, UnknownNameError
from rdet.keys_of_others import BEHIND_KWARGS, GIVEN, KEYS
from rdet.messages import nearest, shown
from rdet.schema import check_value, fits, hints_of, is_default


def readers_of(cls: Any) -> list[Callable[..., Any]]:
    """List the functions that read the keys which a config gives ``cls``.

    That is its ``from_cfg`` and the constructor of ``cfg_behind_kwargs``, or a function itself, or its constructor
    and, as long as they end in ``**kwargs``, those of its bases.
    """
    if not inspect.isclass(cls) or hasattr(cls, "from_cfg"):
        behind = readers_of(cls.cfg_behind_kwargs) if hasattr(cls, "cfg_behind_kwargs") else []
        return [getattr(cls, "from_cfg", cls), *behind]
    readers: list[Callable[..., Any]] = []
    for base in inspect.getmro(cls)[:-1]:
        if "__init__" not in vars(base):
            continue
        # torch's Module takes nothing, whatever its signature says; torch.compile puts another function there.
        if not readers and f"{base.__module__}.{base.__name__}" == "torch.nn.modules.module.Module":
            break
        constructor = vars(base)["__init__"]
        readers.append(constructor)
        if not _ends_in_kwargs(constructor):
            break
    return readers


def _ends_in_kwargs(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


class Key(NamedTuple):
    """A key that a config may set."""

    annotation: Any
    parameter: inspect.Parameter | None = None


def keys_of(cls: Any) -> dict[str, Key] | None:
    """Return the keys that a config may set for ``cls``: its parameters and, behind ``**kwargs``, its bases'.

    None if they end in ``**kwargs`` of which the signatures do not say who reads them.
    """
    readers = readers_of(cls)
    keys: dict[str, Key] = {}
    if readers and _ends_in_kwargs(readers[-1]):
        known = [base for base in _bases(cls) if base in BEHIND_KWARGS]
        if not known:
            return None
        keys = {name: Key(KEYS[known[0]][name]) for name in BEHIND_KWARGS[known[0]]}
    of_others = {name: said for base in reversed(_bases(cls)) for name, said in KEYS.get(base, {}).items()}
    for reader in reversed(readers):  # a class goes before its bases
        more = {} if (reader.__module__ or "").startswith("rdet.") else of_others
        keys |= {
            name: key._replace(annotation=more.get(name, key.annotation)) for name, key in _parameters(reader).items()
        }
    if hasattr(cls, "cfg_behind_kwargs"):  # what `from_cfg` takes are configs of what the constructor takes
        (behind,) = (p for p in inspect.signature(cls.from_cfg).parameters.values() if p.kind is p.VAR_KEYWORD)
        annotation = hints_of(cls.from_cfg).get(behind.name, Any)
        for reader in readers[1:]:
            keys |= {name: key._replace(annotation=annotation) for name, key in _parameters(reader).items()}
    given = {name for base in _bases(cls) for name in GIVEN.get(base, ())}
    return {name: key for name, key in keys.items() if name not in given}


def _bases(cls: Any) -> list[str]:
    return [base.__name__ for base in getattr(cls, "__mro__", ())]


def _parameters(function: Callable[..., Any]) -> dict[str, Key]:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    hints = hints_of(function)
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {p.name: Key(hints.get(p.name, Any), p) for p in named}


def parameters_of(cls: Any) -> set[str] | None:
    """Return the names of :func:`keys_of`."""
    keys = keys_of(cls)
    return None if keys is None else set(keys)


def check_arguments(arguments: Mapping[str, Any], cls: Any, where: str, also: Collection[str] = ()) -> None:
    """Check what a config gives a part: each key, and each value that is no part itself.

    Args:
        arguments: The config of the part, without ``type``.
        cls: Its class.
        where: Its place in the config, for messages.
        also: Keys that something else reads; their values are not looked at.

    Raises:
        UnknownNameError: ``cls`` has no such parameter.
        ConfigError: A value is of another type than the parameter's annotation says.
    """
    keys = keys_of(cls)
    for name, value in arguments.items():
        if keys is None or name in also:
            continue
        if name not in keys:
            hint = nearest(name, {*keys, *also}, see=f"help({cls.__module__}.{cls.__qualname__})")
            raise UnknownNameError(f"{where}: {cls.__name__} has no key {shown(name)}. {hint}")
        annotation, parameter = keys[name]
        if parameter is not None and is_default(value, parameter):
            continue
        if hasattr(cls, "from_cfg") and not fits(value, annotation) and fits({}, annotation):
            raise no_part(f"{where}.{name}", value)
        check_value(value, annotation, f"{where}.{name}")


def no_part(where: str, value: Any) -> ConfigError:
    """Return the error for a value that stands where a part is expected."""
    return ConfigError(f"{where}: expected a dict with the key 'type', got {shown(value)}")


def missing_arguments(error: Exception, cls: Any) -> list[str]:
    """List the arguments that a config has to give and does not.

    Empty if the error is another one, which is a bug of ``cls``.

    Args:
        error: What the call of ``cls`` raised.
        cls: The class, or the function.
    """
    said = str(error)
    if not any(said.startswith(f"{reader.__qualname__}() missing ") for reader in readers_of(cls)):
        return []
    return re.findall(r"'(\w+)'", said)
