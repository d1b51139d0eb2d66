"""What bounds a training step: python benchmarks/roofline.py

The step of step.py, on one processor. Each of its convolutions, forward and backward, takes at least the time of its
arithmetic at the speed of a large matrix product, and at least that of reading its inputs and writing its outputs once
at the speed of a copy (Williams et al., CACM 2009), unless a convolution does better than the product. What else the
step does is listed by operator.
"""

from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from side_by_side import arguments, report, spread, time_in_turns
from step import Batch, convolutions_of, networks, run, step_of_rdet
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from rdet.engine.memory import keep_freed_memory

MATRIX, COPIED = 4096, 2**26  # rows of the matrices, and numbers that are copied
LISTED = 10  # operators


def speeds(rounds: int) -> dict[torch.dtype | str, float]:
    """Operations a second of a large matrix product in both precisions; ``'bytes'``: read and written by a copy."""
    numbers = torch.rand(COPIED)
    target = torch.empty_like(numbers)
    calls = {"bytes": lambda: target.copy_(numbers)}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.rand(MATRIX, MATRIX, dtype=dtype)
        calls[dtype] = partial(torch.mm, matrix, matrix)
    work = {"bytes": 2 * numbers.nbytes, torch.float32: 2 * MATRIX**3, torch.bfloat16: 2 * MATRIX**3}
    return {name: work[name] / min(times) for name, times in time_in_turns(calls, rounds).items()}


def work_of(call: tuple[Callable, tuple]) -> tuple[int, int]:
    """Operations of a convolution, forward or backward, and bytes of the tensors that it reads and writes."""
    operator, args = call
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        results = operator(*args)
    tensors = (*args, *(results if isinstance(results, tuple) else (results,)))
    return counted.get_total_flops(), sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))


def bound(work: list[tuple[int, int]], operations: float, bytes_: float) -> float:
    """Seconds that the calls take at least, at so many operations and bytes a second."""
    return sum(max(flops / operations, moved / bytes_) for flops, moved in work)


def seconds_by_operator(step: Callable[[], object], rounds: int) -> dict[str, float]:
    """Mean seconds a step of every operator, without those that it calls."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(rounds):
            step()
    totals = {event.key: event.self_cpu_time_total / 1e6 / rounds for event in recorded.key_averages()}
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def main() -> None:
    args = arguments("What bounds a training step", rounds=5).parse_args()
    keep_freed_memory()
    speed = speeds(args.rounds)
    rows = [{"operations": {str(name): value for name, value in speed.items()}}]
    print(", ".join(f"{name}: {value / 1e9:.0f} G/s" for name, value in speed.items()), flush=True)
    network, _ = networks()
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        step = step_of_rdet(network, Batch(), bfloat16=dtype is torch.bfloat16)
        calls = convolutions_of(step)
        work = [work_of(call) for call in calls]
        least = bound(work, speed[dtype], speed["bytes"])
        seconds = time_in_turns({"step": step, "convolutions": partial(run, calls)}, args.rounds)
        whole, convolutions = (median(times) for times in seconds.values())
        operators = seconds_by_operator(step, args.rounds)
        others = dict([(key, value) for key, value in operators.items() if "conv" not in key][:LISTED])
        print(f"{name}: step {spread(seconds['step'])}")
        operations, moved = (sum(column) / 1e9 for column in zip(*work, strict=True))
        print(f"    {len(calls)} convolutions {spread(seconds['convolutions'])}: {operations:.0f} G, {moved:.1f} GB")
        print(
            f"    bound {1000 * least:.0f} ms, {least / convolutions:.2f} of them and {least / whole:.2f} of the step"
        )
        for key, value in others.items():
            print(f"    {key}: {1000 * value:.1f} ms")
        row = {"precision": name, "seconds": seconds, "bound": least, "seconds_of_others": others}
        rows.append({**row, "giga_operations": operations, "gigabytes": moved})
    report(args.out, rows)


if __name__ == "__main__":
    main()
