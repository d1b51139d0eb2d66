"""Hands to each part what its call names."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn


class Offers:
    """Values by name, for parts that see only some of them.

    A part's signature is its contract: ``MaxIoUAssigner`` takes ``(priors, boxes, ignored)``, a
    task-aligned one ``scores`` too, and neither knows of the other. What costs time is offered as
    a function of the offers themselves, called when a part first asks for it. It is handed them, rather than
    knowing them: offers that hold a function that holds them live, with all their tensors, until Python
    looks for cycles.

    Args:
        values: Tensors, or functions of these offers that return one.
    """

    def __init__(self, **values: Any):
        self._values = values

    def __getitem__(self, name: str) -> Any:
        if callable(self._values[name]):
            self._values[name] = self._values[name](self)
        return self._values[name]

    def also(self, **values: Any) -> "Offers":
        """The same values and more."""
        return Offers(**self._values, **values)

    def give(self, part: Callable) -> Any:
        """Calls ``part`` with what its call names."""
        return part(**{name: self[name] for name in inputs_of(part) if name in self._values})


def inputs_of(part: Callable) -> list[str]:
    """Names of the parameters of a part's call."""
    return list(inspect.signature(_call(part)).parameters)


def check_inputs(part: Callable, offered: tuple[str, ...], where: str) -> None:
    """Raises ValueError if the call of ``part`` needs what the detector does not offer."""
    for name, parameter in inspect.signature(_call(part)).parameters.items():
        if name not in offered and parameter.default is parameter.empty:
            raise ValueError(
                f"{where}: the call of {type(part).__name__} names {name!r}, which is not offered here; "
                f"valid: {', '.join(offered)}"
            )


def _call(part: Callable) -> Callable:
    return part.forward if isinstance(part, nn.Module) else part
