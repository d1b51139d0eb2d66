"""Base of the hooks that draw a run."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from rdet.errors import message_of

_SHARE = 0.004  # of the run's time that one hook may take before the run ends
_FIRST = 2.0  # seconds that a first picture may take, as it loads what it is drawn with


class PictureHook(Hook):
    """Base of hooks that draw into the work dir, on the first process, without holding up the run.

    A picture is no reason to end a training: what goes wrong with one is said once, and pictures of its kind are then
    left out.
    """

    priority = "LOWEST"

    def before_run(self, runner) -> None:
        """Begin to measure which share of the time pictures take."""
        self._begun = time.monotonic()
        self._spent, self._longest = 0.0, _FIRST
        self._is_off = not is_main_process()
        self._broken: set[str] = set()  # kinds of files that could not be written

    def has_time(self) -> bool:
        """Tell whether one more picture leaves the run nearly all of its time."""
        return not self._is_off and self._spent + self._longest < _SHARE * (time.monotonic() - self._begun)

    def draw(self, runner, name: str, draw: Callable[[Path], object]) -> None:
        """Draw a file of the work dir, and note the time that it takes.

        Args:
            runner: Of the run.
            name: Of the file.
            draw: Writes to the path that it is given.
        """
        if self._is_off:
            return
        begun = time.monotonic()
        self.write(runner, name, draw)
        took = time.monotonic() - begun
        self._longest = max(took, self._longest) if self._spent else took
        self._spent += took

    def write(self, runner, name: str, write: Callable[[Path], object]) -> None:
        """Write a file of the work dir as :meth:`draw` does, whose time does not count."""
        kind = re.sub(r"\d+\.", ".", name)  # train_batch0.jpg is of the kind of train_batch1.jpg
        if self._is_off or kind in self._broken:
            return
        try:
            write(Path(runner.work_dir) / name)
        except Exception as error:
            self._broken.add(kind)
            runner.logger.warning(f"{name} cannot be drawn ({message_of(error)}); the run goes on without it")
