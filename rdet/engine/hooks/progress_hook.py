"""A line on the terminal that shows how far a run is."""

import logging
import sys
import time
from typing import TextIO

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

_ERASE = "\r\x1b[K"
_SECONDS_BETWEEN = 0.2


class ProgressHook(Hook):
    """Writes one line that is written over, where the program runs in a terminal; a file of its output has none.

    Args:
        stream: The terminal.
    """

    priority = "LOWEST"

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stdout
        self._written = 0.0  # when
        self._begun: dict[str, tuple[float, int]] = {}  # of what -> when, and at which iteration
        self._is_there = False

    def before_run(self, runner) -> None:
        """Have the line erased before each line of the log."""
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._erase)

    def before_train(self, runner) -> None:
        self._begun["training"] = time.monotonic(), runner.iter

    def before_val_epoch(self, runner) -> None:
        self._begun["evaluation"] = time.monotonic(), 0

    before_test_epoch = before_val_epoch

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._write("training", runner.iter + 1, runner.max_iters)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._write("evaluation", batch_idx + 1, len(runner.val_dataloader))

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._write("evaluation", batch_idx + 1, len(runner.test_dataloader))

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        self._erase()

    after_test_epoch = after_val_epoch

    def after_run(self, runner) -> None:
        self._erase()

    def _write(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._written < _SECONDS_BETWEEN and done < of:
            return
        begun, first = self._begun.get(what, (now, done))
        rate = (now - begun) / max(1, done - first)
        left = time.strftime("%H:%M:%S", time.gmtime(rate * (of - done)))
        bar = "#" * (20 * done // max(1, of))
        self._stream.write(f"{_ERASE}{what} [{bar:<20}] {done}/{of}  {rate:.2f} s an iteration, {left} left")
        self._stream.flush()
        self._written, self._is_there = now, True

    def _erase(self, record: logging.LogRecord | None = None) -> bool:
        if self._is_there:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._is_there = False
        return True


def progress_of(logger: MMLogger) -> ProgressHook | None:
    """Return the hook for a program whose log goes to a terminal; None where it goes to a file."""
    shown = any(handler.level <= logging.INFO for handler in logger.handlers)
    return ProgressHook() if shown and sys.stdout.isatty() else None
