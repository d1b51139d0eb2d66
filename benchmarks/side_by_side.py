"""Times contenders in turns, and measures what torch allocates and calls."""

import argparse
import json
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
import torchvision
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode


def arguments(what: str, rounds: int = 7) -> argparse.ArgumentParser:
    """What all benchmarks take."""
    parser = argparse.ArgumentParser(what)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="timings of each contender, after one that is not counted"
    )
    parser.add_argument("--out", type=Path, help="json file for the numbers")
    return parser


def time_in_turns(
    contenders: dict[str, Callable[[], object]], rounds: int, burst: int | None = None
) -> dict[str, list[float]]:
    """Seconds of each call.

    Every round calls each contender once, so that a disturbance of the machine meets all of them; the
    first round is not counted. With a ``burst`` it is called that often, after a rest and a call that is
    not counted: so no contender pays for the one before, for threads of its own that still look for work
    and take a core, and for caches that are full of its weights.
    """
    seconds = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, call in contenders.items():
            if burst is not None:
                time.sleep(0.03)
                call()
            for _ in range(burst or 1):
                start = time.perf_counter()
                call()
                if round_ > 0:
                    seconds[name].append(time.perf_counter() - start)
    return seconds


def seconds_of(call: Callable[[], object], rounds: int, warm_up: int = 3) -> list[float]:
    """Seconds of each call on the device, after some that are not counted."""
    for _ in range(warm_up):
        call()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(rounds + 1)]
    torch.cuda.synchronize()
    marks[0].record()
    for mark in marks[1:]:
        call()
        mark.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) / 1000 for start, end in pairwise(marks)]


def in_own_process(script: str, *words: str) -> list[float]:
    """Runs ``python script words``; returns the numbers of the last line that it prints."""
    finished = subprocess.run([sys.executable, script, *words], check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in finished.stdout.splitlines()[-1].split()]


def free_port() -> int:
    """A port that processes of this machine can meet at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def forget_peak() -> None:
    """Lets :func:`peak_megabytes` count anew from what the process holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """The most that this process has held so far, all of it counted; on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def peak_bytes(call: Callable[[], object]) -> int:
    """Most bytes that torch's allocator held at once beyond what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    held = most = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


# Calls that look at memory differently, and compute nothing.
_VIEWS = frozenset(
    (
        *("alias", "as_strided", "detach", "empty", "empty_like", "expand", "lift_fresh", "permute", "promote_types"),
        *("scalar_tensor", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind"),
        *("unsqueeze", "view", "_unsafe_view"),
    )
)


class _Calls(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.computing = self.all = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.all += 1
        self.computing += operator.overloadpacket.__name__ not in _VIEWS
        return operator(*args, **(kwargs or {}))


def operator_calls(call: Callable[[], object]) -> tuple[int, int]:
    """Operators that torch dispatches, backward included: those that compute, one kernel each on a GPU, and all."""
    with _Calls() as calls:
        call()
    return calls.computing, calls.all


def spread(seconds: list[float]) -> str:
    """Median, and the range in brackets, in milliseconds."""
    return f"{1000 * median(seconds):.1f} ms ({1000 * min(seconds):.1f} to {1000 * max(seconds):.1f})"


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def report(out: Path | None, rows: list[dict]) -> None:
    """Writes the rows, and the machine, as json."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
