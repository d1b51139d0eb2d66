"""Where trainings run at the same time: a card each, or some cores each."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import torch

_GRACE = 60.0  # seconds in which a training saves its state


def places(jobs: int | None, trainings: int) -> list[dict[str, str]]:
    """Divide the machine: the environment of each training that runs at the same time.

    Args:
        jobs: How many at a time; more than there are cards share these. None: one a card, without cards one a core.
        trainings: How many there are at all.
    """
    cards = _cards()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    number = max(1, min(jobs or len(cards) or cores, trainings))
    # A thread more than there are cores makes all of them slower. What the user set is left as it is.
    threads = (
        {} if number == 1 or "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, cores // number))}
    )
    if not cards:
        return [dict(threads) for _ in range(number)]
    return [{**threads, "CUDA_VISIBLE_DEVICES": cards[place % len(cards)]} for place in range(number)]


def _cards() -> list[str]:
    """Return what CUDA calls the cards that this process may use."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(card) for card in range(count)]


class Children:
    """Processes that train, which end together.

    Each has a session of its own, so that Ctrl-C in a terminal reaches this process alone, which then ends them in
    order.

    Args:
        lock: A file descriptor that they inherit; None: none.
    """

    def __init__(self, lock: int | None = None):
        self._inherited = () if lock is None else (lock,)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._changing = Lock()
        self._ended = False

    def run(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
        """Run a command with a changed environment, append what it says to a file, and return its exit code."""
        with log.open("ab") as output:
            with self._changing:
                if self._ended:
                    return 128 + signal.SIGTERM
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,
                    pass_fds=self._inherited,
                )
                self._running.add(process)
            try:
                return process.wait()
            finally:
                with self._changing:
                    self._running.discard(process)

    def end(self) -> None:
        """Have all processes save their state and end, and start no others; what does not end in a minute is killed."""
        with self._changing:
            self._ended = True
            running = list(self._running)
        for process in running:
            process.terminate()
        until = time.monotonic() + _GRACE
        try:
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
        finally:
            for process in running:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # its loader's workers, too
