"""Ctrl-C and SIGTERM end a run between two steps, where its state is whole."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from mmengine.dist import is_main_process

from rdet.errors import Interrupted
from rdet.signals import SIGNALS, signals_call


class Interruption:
    """Whether a run was asked to end.

    Of several processes, the first obeys, and saves; the others go on until they miss it, since it may be in a step
    that needs them.

    Attributes:
        signal: The signal's number; None: nobody asked.
    """

    def __init__(self, may_end: Callable[[], bool] = lambda: True) -> None:
        """Make one for a run.

        Args:
            may_end: Whether the state of the run is one to save, between two of its batches.
        """
        self.signal: int | None = None
        self._may_end = may_end
        self._in_a_step = False

    @contextmanager
    def after_this(self) -> Iterator[None]:
        """Let a step come to its end before the run does."""
        self._in_a_step = True
        try:
            yield
        finally:
            self._in_a_step = False
        if self.signal is not None and self._obeys():
            raise Interrupted(self.signal)

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """End the run: now, or after the step that it is in. Asked again, it ends at once."""
        again, self.signal = self.signal is not None, number
        if again or (not self._in_a_step and self._obeys()):
            raise Interrupted(number)

    def _obeys(self) -> bool:
        return is_main_process() and self._may_end()


@contextmanager
def ending_at_signals(may_end: Callable[[], bool] = lambda: True) -> Iterator[Interruption]:
    """Have signals end what runs inside by :class:`Interrupted`; outside of the main thread, leave them alone."""
    interruption = Interruption(may_end)
    with signals_call(interruption.ask):
        yield interruption


def leave_interrupts_to_the_run() -> None:
    """Have a loader's worker ignore what a terminal or a cluster sends to all processes: the run ends its workers.

    A run that ends may leave a worker in the middle of handing over a batch; the run says why it ends, the worker
    nothing.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = _say_nothing_of_the_runs_end  # which the thread that hands tensors over calls


def _say_nothing_of_the_runs_end(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, traceback)
