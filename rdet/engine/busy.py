"""Whether other programs take the processor that a training on a CPU needs."""

import os
import time

import torch

_LEAST_USE = 0.7  # share of its threads that a training computes with when it is alone
_FEWEST_SECONDS = 5.0


class BusyMachine:
    """Compares the time of the clock with that of the processor.

    Threads of one operation wait for each other: where they do not all run, a step may take many times as long as with
    one thread.

    Args:
        workers: Processes of this run that compute beside it.
    """

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers
        self._begun = time.perf_counter(), time.process_time()
        self._has_said = False

    def doubt(self) -> str | None:
        """Say once that the machine is busy, or return None."""
        wall, processor = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        if self._has_said or wall < _FEWEST_SECONDS:
            return None
        self._begun = time.perf_counter(), time.process_time()
        threads, cores, load = torch.get_num_threads(), os.cpu_count() or 1, os.getloadavg()[0]
        use = processor / (wall * threads)
        if threads < 2 or use >= _LEAST_USE or load - threads - self._workers < 1:
            return None
        self._has_said = True
        return (
            f"other programs use this machine (its load is {load:.1f} on {cores} cores): the {threads} threads of this "
            f"one compute for {use:.0%} of the time; with OMP_NUM_THREADS=1 it may be several times faster"
        )
