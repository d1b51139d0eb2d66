"""What values an annotation allows, in words too: annotations are the schema of configs.

Constructors of parts say their keys and types by their signatures; dicts that no class reads say theirs in a TypedDict,
see :mod:`rdet.config_keys`.
"""

import collections.abc
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from rdet.errors import ConfigError


@dataclass(frozen=True)
class AtLeast:
    """The smallest number that has a meaning: ``Annotated[int, AtLeast(1)]``."""

    smallest: float


# Whole numbers that count something.
Count = Annotated[int, AtLeast(1)]

_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, Mapping, collections.abc.MutableMapping)
_SCALARS = (str, Real, type(None))  # bool is a Real


def fits(value: Any, annotation: Any) -> bool:
    """Tell whether a value of a config is of an annotated type. True where that cannot be judged.

    A whole number may stand for a float, and a list for a tuple or the other way round.
    """
    if not isinstance(value, (*_SCALARS, list, tuple, Mapping)):
        return True  # objects, which Python code gives and a file cannot
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        least = [mark.smallest for mark in arguments[1:] if isinstance(mark, AtLeast)]
        if not isinstance(value, Real):
            return fits(value, arguments[0])
        number = cast("float", value)  # typeshed gives Real no order
        return fits(value, arguments[0]) and all(number >= smallest for smallest in least)
    if origin in (Union, types.UnionType):
        return any(fits(value, choice) for choice in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is bool:
        return isinstance(value, bool)
    if annotation in (int, float):
        return isinstance(value, Integral if annotation is int else Real) and not isinstance(value, bool)
    if annotation is str:
        return isinstance(value, str)
    kind = origin or annotation
    if kind in _MAPPINGS or is_typeddict(kind):
        return isinstance(value, Mapping)
    if kind in _SEQUENCES:
        if not isinstance(value, list | tuple):
            return False
        if kind is tuple and arguments and arguments[-1] is not ...:
            return len(value) == len(arguments) and all(map(fits, value, arguments))
        return all(fits(item, arguments[0]) for item in value) if arguments else True
    # Parts come as dicts, and what stands for a class of another library is its own business. A string is no tensor.
    return not (isinstance(value, str) and getattr(annotation, "__module__", "") == "torch")


def words(annotation: Any) -> str | None:
    """Say what an annotation allows: ``'a number or None'``. None for what cannot be judged."""
    choices = list(dict.fromkeys(_choices(annotation)))
    if "None" in choices:
        choices.remove("None")
        choices.append("None")
    if len(choices) < 2:
        return choices[0] if choices else None
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _choices(annotation: Any) -> list[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        least = [f" of {mark.smallest} or more" for mark in arguments[1:] if isinstance(mark, AtLeast)]
        return [choice + "".join(least) for choice in _choices(arguments[0])]
    if origin in (Union, types.UnionType):
        return [said for choice in arguments for said in _choices(choice)]
    if origin is Literal:
        return list(map(repr, arguments))
    if annotation is None or annotation is type(None):
        return ["None"]
    for kind, said in ((bool, "True or False"), (int, "a whole number"), (float, "a number"), (str, "a string")):
        if annotation is kind:
            return [said]
    kind = origin or annotation
    if kind in _MAPPINGS or is_typeddict(kind):
        return ["a dict"]
    if kind in _SEQUENCES:
        if kind is tuple and arguments and arguments[-1] is not ...:
            same = words(arguments[0]) if len(set(arguments)) == 1 else None
            return [f"a list of {len(arguments)} {_plural(same)}" if same else f"a list of {len(arguments)}"]
        inner = words(arguments[0]) if arguments else None
        return [f"a list of {_plural(inner)}" if inner else "a list"]
    return []


def _plural(noun: str) -> str:
    head, _, rest = noun.partition(" of ")
    head = f"{head.removeprefix('a ')}s" if head.startswith("a ") and " or " not in head else head
    return head + (f" of {rest}" if rest else "")


def check_value(value: Any, annotation: Any, where: str) -> None:
    """Raise ConfigError if a value of a config is not of an annotated type.

    Args:
        value: The value.
        annotation: A type, or anything else that is then not judged.
        where: Its path in the config, for the message.
    """
    if fits(value, annotation):
        return
    said = words(annotation) or f"a {getattr(annotation, '__name__', annotation)}"
    said += ", or be left out" if said == "a dict" else ""
    kind = "" if value is None or fits(value, _without_limits(annotation)) else f" ({type(value).__name__})"
    raise ConfigError(f"{where} is {value!r}{kind}; it must be {said}")


def _without_limits(annotation: Any) -> Any:
    """Return the annotation without the smallest number that it allows."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[tuple(map(_without_limits, get_args(annotation)))]  # noqa: UP007
    return annotation


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotation of each parameter that has one; names that cannot be resolved are left out."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # names that exist for a type checker alone
        hints = getattr(function, "__annotations__", {})
        return {name: hint for name, hint in hints.items() if not isinstance(hint, str)}


def is_default(value: Any, parameter: inspect.Parameter) -> bool:
    """Tell whether a value is what the parameter has anyway, whatever its annotation says of it."""
    try:
        return parameter.default is value or bool(parameter.default == value)
    except Exception:  # of arrays
        return False
