"""What Ctrl-C and SIGTERM do to a program, while it does what."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from rdet.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """End what runs by an exception, which closes what is open.

    Raises:
        Interrupted: Always.
    """
    raise Interrupted(number)


@contextmanager
def signals_call(handler: Callable[[int, FrameType | None], object] = interrupt) -> Iterator[None]:
    """Have the signals call a function while the body runs; outside of the main thread, leave them alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)


def end_at_once_at_signals() -> None:
    """Have the signals end a program that has begun nothing yet, in one line; imports would print where they are."""
    for number in SIGNALS:
        signal.signal(number, _end_at_once)
    sys.excepthook = _end_in_one_line
    sys.unraisablehook = _say_nothing_of_interruptions


def _say_nothing_of_interruptions(unraisable: "sys.UnraisableHookArgs") -> None:
    """Pass over what Python cannot raise, as in a fork: who was asked to end has noted it."""
    if not isinstance(unraisable.exc_value, Interrupted):
        sys.__unraisablehook__(unraisable)


def _end_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End a program whose signal came where nothing could catch the interruption, such as the end of a ``with``."""
    if isinstance(error, Interrupted):
        _end_at_once(error.number, None)
    sys.__excepthook__(kind, error, trace)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    ended = Interrupted(number)
    os.write(2, f"{ended}\n".encode())
    os._exit(ended.code)
