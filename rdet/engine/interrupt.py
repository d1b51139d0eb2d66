"""Ctrl-C and SIGTERM end a run between two steps, where its state is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mmengine.dist import is_main_process

from rdet.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Whether a run was asked to end.

    Of several processes, the first obeys, and saves; the others go on until they miss it, since it may be in a step
    that needs them.

    Attributes:
        signal: The signal's number; None: nobody asked.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._in_a_step = False

    @contextmanager
    def after_this(self) -> Iterator[None]:
        """Let a step come to its end before the run does."""
        self._in_a_step = True
        try:
            yield
        finally:
            self._in_a_step = False
        if self.signal is not None and is_main_process():
            raise Interrupted(self.signal)

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """End the run: now, or after the step that it is in. Asked again, it ends at once."""
        again, self.signal = self.signal is not None, number
        if again or (not self._in_a_step and is_main_process()):
            raise Interrupted(number)


@contextmanager
def ending_at_signals() -> Iterator[Interruption]:
    """Have signals end what runs inside by :class:`Interrupted`; outside of the main thread, leave them alone."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption.ask) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_interrupts_to_the_run() -> None:
    """Have a loader's worker ignore what a terminal or a cluster sends to all processes: the run ends its workers."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
