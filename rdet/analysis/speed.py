"""How fast a detector finds objects, and how much memory that takes."""

import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from rdet.errors import ConfigError

_IN_MEMORY = 32  # images that are kept


@dataclass(frozen=True)
class Speed:
    """Timings of a detector.

    Attributes:
        seconds: Of each call, (n,), after the first ones that are not counted.
        images: How many images there are in a call.
        memory: Most bytes that its device held, or this process on a CPU.
        device: What it ran on.
    """

    seconds: np.ndarray
    images: int
    memory: int
    device: str

    def __str__(self) -> str:
        middle, slow = np.percentile(1000 * self.seconds, [50, 90])
        return (
            f"{self.images * len(self.seconds) / self.seconds.sum():.2f} images a second; {middle:.1f} ms a call of "
            f"{self.images} image{'s' if self.images > 1 else ''} (median; 90 % below {slow:.1f} ms), "
            f"{self.memory / 2**20:.0f} MiB, on {self.device}"
        )


def measure_speed(model: nn.Module, batches: Iterable[dict], warmup: int = 5) -> Speed:
    """Time a detector from images in memory to detections; loading is not counted.

    Args:
        model: A detector, on its device.
        batches: What its ``test_step`` takes; all of one size.
        warmup: How many of the first calls are not counted.

    Raises:
        ValueError: There are not more batches than ``warmup``.
    """
    device = next(model.parameters()).device
    model.eval()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, images = [], 0
    for batch in batches:
        images = len(batch["inputs"])
        wait_for(device)
        start = time.perf_counter()
        with torch.no_grad():
            model.test_step(batch)
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    if len(seconds) <= warmup:
        raise ConfigError(f"{len(seconds)} calls, of which {warmup} are not counted; there must be more")
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_of_process()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU ({torch.get_num_threads()} threads)"
    return Speed(np.array(seconds[warmup:]), images, memory, name)


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_of_process() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def test_batches(dataset: Any, size: int, calls: int) -> list[dict]:
    """Load images that a config is tested with, as batches for :func:`measure_speed`; few are repeated.

    Args:
        dataset: Of :func:`rdet.apis.build.build_datasets`; None: the config has none.
        size: Images of a batch.
        calls: Number of batches.

    Raises:
        ConfigError: There are no such data.
    """
    if dataset is None or not len(dataset):
        raise ConfigError("the config has no test or val data to time it on; set val_dataloader")
    records = [dataset[i] for i in range(min(len(dataset), _IN_MEMORY, size * calls))]
    return [pseudo_collate([records[(n * size + i) % len(records)] for i in range(size)]) for n in range(calls)]
