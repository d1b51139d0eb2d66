"""One thread that runs the network on all that waits and is of one size."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from rdet.apis.infer.run import Run, kind_of
from rdet.apis.infer.shot import Shot
from rdet.structures import DetDataSample

_AHEAD = 2  # full batches that may wait, prepared
_PIXELS_TOGETHER = 2**23  # eight images of 800 x 1333; what a network holds grows with them


@dataclass(frozen=True)
class Job:
    """An image that waits for the network.

    Attributes:
        shot: Prepared.
        result: Gets what is found. One that is cancelled, since the client hung up, is dropped.
    """

    shot: Shot
    result: "Future[DetDataSample]" = field(default_factory=Future)


class Batcher:
    """Gathers images of one size, and runs them through the network together, in a thread of its own.

    The oldest image that waits says the size. More are waited for where there is hope of some: while others are being
    prepared, or after a batch of several. So a lone client does not wait. Of large images, fewer run together.

    Args:
        run: Images of one size -> what is found in each.
        max_batch: Most images that run together.
        max_wait: Most seconds that an image waits for others.
        ran: Called with the size of each batch and the seconds it took.
        kind: Says of an image what those that run with it have in common, the padded height and width last.
    """

    def __init__(
        self,
        run: Run,
        max_batch: int,
        max_wait: float,
        ran: Callable[[int, float], None] | None = None,
        kind: Callable[[Shot], tuple[int, ...] | None] = kind_of,
    ):
        self._run = run
        self._kind = kind
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._ran = ran or (lambda size, seconds: None)
        self._waiting: deque[tuple[float, Job]] = deque()
        self._changed = threading.Condition()
        self._coming = 0
        self._last = 1
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="rdet network", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Count the images that wait."""
        return len(self._waiting)

    @property
    def works(self) -> bool:
        """Whether images are taken and run."""
        return self._thread.is_alive() and not self._closed

    def expect(self, change: int) -> None:
        """Note that an image is being prepared (1), or will not come (-1)."""
        with self._changed:
            self._coming += change
            self._changed.notify_all()

    def add(self, job: Job) -> None:
        """Have an expected image wait for the network; where many wait already, wait for room first."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _AHEAD * self._max_batch or self._closed)
            self._coming -= 1
            self._waiting.append((time.monotonic(), job))
            self._changed.notify_all()

    def close(self) -> None:
        """Run what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            jobs = [job for job in batch if job.result.set_running_or_notify_cancel()]
            if jobs:
                self._last = len(jobs)
                self._finish(jobs)

    def _next(self) -> list[Job]:
        """Return the images of the next batch; none when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return []
            since, first = self._waiting[0]
            kind, until = self._kind(first.shot), since + self._max_wait
            most = self._max_batch if kind is None else min(self._max_batch, _together(kind))
            while not self._closed and (self._coming > 0 or self._last > 1):
                left = until - time.monotonic()
                if left <= 0 or len(self._of(kind)) >= most:
                    break
                self._changed.wait(left)
            chosen = self._of(kind)[:most]
            taken = {id(job) for job in chosen}
            self._waiting = deque(entry for entry in self._waiting if id(entry[1]) not in taken)
            self._changed.notify_all()
            return chosen

    def _of(self, kind: tuple[int, ...] | None) -> list[Job]:
        return [job for _, job in self._waiting if self._kind(job.shot) == kind]

    def _finish(self, jobs: Sequence[Job]) -> None:
        """Run a batch; where that fails, each image alone, so that one does not spoil what others get."""
        begun = time.monotonic()
        try:
            found = self._run([job.shot for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].result.set_exception(error)
                return
            for job in jobs:
                self._finish([job])
            return
        self._ran(len(jobs), time.monotonic() - begun)
        for job, sample in zip(jobs, found, strict=True):
            assert sample is not None  # of an image that is prepared
            job.result.set_result(sample)


def _together(shape: tuple[int, ...]) -> int:
    """Return how many images (C, H, W) may run together."""
    return max(1, _PIXELS_TOGETHER // max(1, shape[-2] * shape[-1]))
