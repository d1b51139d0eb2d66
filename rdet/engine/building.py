"""What a method of mmengine builds, told where in the config it is."""

import functools
from collections.abc import Callable
from typing import Any

from rdet.registry import refused_values


def building(key: str, build: Callable[..., Any]) -> Callable[..., Any]:
    """Have what a method of mmengine raises, for a key of the config, name that key."""

    @functools.wraps(build)
    def build_and_tell(*args: Any, **kwargs: Any) -> Any:
        try:
            return build(*args, **kwargs)
        except Exception as error:
            if refused := refused_values(error, key, "it"):
                raise refused from error
            raise

    return build_and_tell
