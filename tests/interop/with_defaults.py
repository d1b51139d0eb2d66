"""Parts of a config with what their constructors take where it says nothing."""

import inspect
from typing import Any

from rdet.registry import MODELS


def with_defaults(value: Any) -> Any:
    """Parts with the defaults of their constructors, classes by their one name, lists and floats for all numbers."""
    if isinstance(value, dict):
        value = {key: with_defaults(item) for key, item in value.items()}
        if value.get("type") not in (None, "GN", "BN"):
            cls = MODELS.get(value["type"])
            value["type"] = cls.__name__
            for base in cls.__mro__:
                if "__init__" in vars(base):
                    for name, parameter in inspect.signature(base.__init__).parameters.items():
                        if parameter.default is not parameter.empty:
                            value.setdefault(name, with_defaults(parameter.default))
        return value
    if isinstance(value, list | tuple):
        return [with_defaults(item) for item in value]
    return float(value) if type(value) is int else value
