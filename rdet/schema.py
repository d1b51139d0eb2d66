"""What values an annotation allows, in words too: annotations are the schema of configs.

Constructors of parts say their keys and types by their signatures; dicts that no class reads say theirs in a TypedDict,
see :mod:`rdet.config_keys`.
"""

import collections.abc
import enum
import inspect
import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from rdet.errors import ConfigError
from rdet.messages import shown


@dataclass(frozen=True)
class Limits:
    """The numbers that have a meaning: ``Annotated[int, Limits(least=1)]``.

    Attributes:
        least: The smallest of them.
        most: The largest of them.
        above: What they are all greater than.
        below: What they are all less than.
        finite: Whether infinity is none of them.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    finite: bool = True
    below: float = math.inf

    def hold(self, number: float) -> bool:
        """Tell whether a number is one of them."""
        is_below = number < self.below or self.below == math.inf
        return self.least <= number <= self.most and self.above < number and is_below

    def __str__(self) -> str:
        if self.below < math.inf:
            return f" above {self.above} and below {self.below}"
        if self.above > self.least:
            return f" above {self.above}" + (f" and of {self.most} or less" if self.most < math.inf else "")
        if self.most == math.inf:
            return f" of {self.least} or more"
        return f" of {self.most} or less" if self.least == -math.inf else f" from {self.least} to {self.most}"


@dataclass(frozen=True)
class Ascending:
    """A list whose numbers do not decrease: ``Annotated[tuple[float, float], Ascending()]``."""

    def hold(self, numbers: list[float] | tuple[float, ...]) -> bool:
        """Tell whether they do not."""
        return all(first <= second for first, second in pairwise(numbers))

    def __str__(self) -> str:
        return " in ascending order"


# What most parts take. Numbers are finite anyway.
Count = Annotated[int, Limits(least=1)]
Natural = Annotated[int, Limits(least=0)]
Positive = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(least=0)]
Fraction = Annotated[float, Limits(least=0, most=1)]
Range = Annotated[tuple[NotNegative, NotNegative], Ascending()]
PositiveRange = Annotated[tuple[Positive, Positive], Ascending()]

_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, Mapping, collections.abc.MutableMapping)
_LIBRARIES = ("rdet", "mmengine", "mmcv", "torch", "torchvision", "timm")
_SCALARS = (str, Real, type(None))  # bool is a Real


def fits(value: Any, annotation: Any) -> bool:
    """Tell whether a value of a config is of an annotated type. True where that cannot be judged.

    A whole number may stand for a float, and a list for a tuple or the other way round.
    """
    if not isinstance(value, (*_SCALARS, list, tuple, Mapping)):
        return True  # objects, which Python code gives and a file cannot
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = [mark for mark in arguments[1:] if isinstance(mark, Limits)]
        if isinstance(value, float) and math.isinf(value) and any(not mark.finite for mark in marks):
            return all(mark.hold(value) for mark in marks)
        if not fits(value, arguments[0]):
            return False
        if isinstance(value, Real):
            return all(mark.hold(cast("float", value)) for mark in marks)
        if isinstance(value, list | tuple):
            return all(mark.hold(value) for mark in arguments[1:] if isinstance(mark, Ascending))
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, choice) for choice in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is bool:
        return isinstance(value, bool)
    if annotation in (int, float):
        of_kind = isinstance(value, Integral if annotation is int else Real) and not isinstance(value, bool)
        return of_kind and _is_a_machines(cast("float", value))
    if annotation is str:
        return isinstance(value, str) and _can_be_encoded(value)
    kind = origin or annotation
    if kind in _MAPPINGS or is_typeddict(kind):
        return isinstance(value, Mapping)
    if kind in _SEQUENCES:
        if not isinstance(value, list | tuple):
            return False
        if kind is tuple and arguments and arguments[-1] is not ...:
            return len(value) == len(arguments) and all(map(fits, value, arguments))
        return all(fits(item, arguments[0]) for item in value) if arguments else True
    if kind is collections.abc.Callable:
        return isinstance(value, str) and is_dotted_name(value)
    if inspect.isclass(kind) and kind is not object and kind is not inspect.Parameter.empty:
        return _may_stand_for(value, kind)
    return True


def _may_stand_for(value: Any, cls: type) -> bool:
    """Tell whether a value of a config may be what an object of a class is made of: a dict, or a name."""
    if isinstance(value, Mapping):
        return True
    if isinstance(value, str):  # a path may be one; a tensor or a part may not
        return cls.__module__.partition(".")[0] not in _LIBRARIES
    try:
        return isinstance(value, cls) or issubclass(cls, enum.Enum)
    except TypeError:  # a protocol
        return True


def is_dotted_name(text: str) -> bool:
    """Tell whether a text is how a config says a class or a function: ``module.name``."""
    return "." in text and all(part.isidentifier() for part in text.split("."))


def _is_a_machines(number: float) -> bool:
    """Tell whether torch, numpy and OpenCV can hold a number, and count with it."""
    return abs(number) < 2**63 if isinstance(number, Integral) else math.isfinite(number)


def _can_be_encoded(text: str) -> bool:
    """Tell whether a text can be the name of a file, or be written into one; none of these is longer than a path."""
    return len(text) <= 4096 and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


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
        limits = [str(mark) for mark in arguments[1:] if isinstance(mark, Limits | Ascending)]
        return [choice + "".join(limits) for choice in _choices(arguments[0])]
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
    if kind is collections.abc.Callable:
        return ["a function's name, such as 'my_module.my_function'"]
    if inspect.isclass(kind) and not fits(0, kind) and kind.__name__ != "Tensor":
        return ["a dict with the key 'type'"]
    return []


def _plural(noun: str) -> str:
    head, which, rest = re.split(r"( (?:of|above|from) |$)", noun, maxsplit=1)
    head = f"{head.removeprefix('a ')}s" if head.startswith("a ") and " or " not in head else head
    return f"{head}{which}{rest}"


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
    raise ConfigError(f"{where} is {shown(value)}{_kind_of(value, annotation)}; it must be {said}")


def _kind_of(value: Any, annotation: Any) -> str:
    """Say of which type a value is that is of another than it should be, or what else no number or text may be."""
    if isinstance(value, Real) and not isinstance(value, bool) and not _is_a_machines(cast("float", value)):
        return " (too large)" if isinstance(value, Integral) else " (not finite)"
    if isinstance(value, str) and fits("", annotation) and not _can_be_encoded(value):
        return " (too long, or with characters that no file can have)"
    return "" if value is None or fits(value, _without_limits(annotation)) else f" ({type(value).__name__})"


def _without_limits(annotation: Any) -> Any:
    """Return the annotation without the limits of its numbers."""
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
