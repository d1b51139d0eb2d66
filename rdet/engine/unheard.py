"""Programs that show a training: what they cannot take ends no run that has begun."""

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.logging import print_log

from rdet.errors import TrackerError, is_of_a_file, message_of
from rdet.messages import in_one_line

_Method = TypeVar("_Method", bound=Callable[..., Any])


def heard(method: _Method) -> _Method:
    """Have a method of a backend end the run with one line before the first step, and no run after that.

    An account, an address or a server that is missing is said at once. Later, the numbers are in the run's own files as
    well: what goes wrong is then said once, and the backend is left alone.

    The backend's class has ``program``, what the user calls it, and ``remedy``, what to do; its instance has
    ``is_begun`` and ``is_lost``.
    """

    @functools.wraps(method)
    def call(backend: Any, *args: Any, **options: Any) -> Any:
        if backend.is_lost:
            return None
        try:
            return method(backend, *args, **options)
        except Exception as error:
            why = f"{backend.program}: {_first_line(error)}"
            if not backend.is_begun:
                raise TrackerError(f"{why}; {backend.remedy}") from error
            backend.is_lost = True
            print_log(f"{why}; the run goes on without {backend.program}", "current", logging.WARNING)
            return None

    return call  # type: ignore[return-value]  # of the same parameters


def _first_line(error: BaseException) -> str:
    text = message_of(error) if is_of_a_file(error) else str(error).strip().partition("\n")[0]
    return in_one_line(text, 300).rstrip(".;") or type(error).__name__
