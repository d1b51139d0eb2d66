"""A device without memory for a batch, said in one line."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rdet.errors import OutOfMemoryError, is_of_memory

# What an allocator says of it: CUDA's, and that of the host.
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ ?\w+)")
_CAPACITY = re.compile(r"total capacity of ([\d.]+ \w+)")
_ON_THE_HOST = ("DefaultCPUAllocator", "std::bad_alloc")


@contextmanager
def out_of_memory_explained(batch: Any, remedy: str) -> Iterator[None]:
    """Say in one line that a batch is too large for the memory of the device.

    Args:
        batch: As the data loader gives it.
        remedy: What to lower.

    Raises:
        OutOfMemoryError: The body has found no memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_of_memory(error):
            raise
        said = str(error)
        where = "the GPU"
        if isinstance(error, MemoryError) or any(text in said for text in _ON_THE_HOST):
            where = "the host"
        asked, capacity = _ASKED.search(said), _CAPACITY.search(said)
        facts = [f"{asked[1]} more were asked for"] if asked else []
        facts += [f"it has {capacity[1]}"] if capacity else []
        more = f" ({', '.join(facts)})" if facts else ""
        raise OutOfMemoryError(f"{where} has no memory left for {_described(batch)}{more}; {remedy}") from error


def _described(batch: Any) -> str:
    """Say what a batch is of: how many images, how large, with how many boxes."""
    inputs = batch.get("inputs") if isinstance(batch, Mapping) else None
    if inputs is None or not len(inputs):
        return "a batch"
    count, height, width = len(inputs), max(x.shape[-2] for x in inputs), max(x.shape[-1] for x in inputs)
    samples = batch.get("data_samples") or ()
    boxes = sum(len(sample.gt_instances) for sample in samples if "gt_instances" in sample)
    text = f"a batch of {count} {'image' if count == 1 else 'images'} of up to {width} x {height} pixels"
    return f"{text} with {boxes} {'box' if boxes == 1 else 'boxes'}" if boxes else text
