"""Times a call on a GPU, and says what the GPU does in it."""

import warnings
from collections.abc import Callable
from statistics import median

import torch
from side_by_side import seconds_of
from torch.profiler import ProfilerActivity, profile


def measured(name: str, call: Callable[[], object], images: int, rounds: int = 12) -> dict:
    """A row of the table: time, images a second, memory."""
    torch.cuda.empty_cache()
    call()
    torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(call, rounds)
    row = {
        "name": name,
        "seconds": seconds,
        "images_per_second": images / median(seconds),
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }
    print(
        f"{name}: {row['images_per_second']:.1f} images/s, {1000 * median(seconds):.2f} ms, "
        f"peak {row['peak_mib']:.0f} MiB",
        flush=True,
    )
    return row


def kernels_of(call: Callable[[], object], rows: int = 25) -> dict:
    """Where the device spends a call: number of kernels, their time, and the slowest kinds."""
    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        call()
        torch.cuda.synchronize()
    kernels = [event for event in recorded.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    by_name: dict[str, list[float]] = {}
    for event in kernels:
        by_name.setdefault(event.name[:120], []).append(event.device_time)
    slowest = sorted(by_name.items(), key=lambda item: -sum(item[1]))[:rows]
    return {
        "kernels": len(kernels),
        "kernel_ms": sum(event.device_time for event in kernels) / 1000,
        "slowest": [{"name": name, "calls": len(times), "ms": sum(times) / 1000} for name, times in slowest],
    }


def waits_of(call: Callable[[], object]) -> int:
    """How often a call makes the host wait for the device."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    # Once in a process, it also warns that the mode is a prototype.
    return sum("called a synchronizing" in str(warning.message) for warning in caught)
