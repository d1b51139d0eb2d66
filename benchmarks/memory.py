"""Memory of a training step of RetinaNet R50-FPN against torchvision's: python benchmarks/memory.py

The step of benchmarks/step.py. Each contender runs in a process of its own; counted is the most that the process holds
at once, less what it held once the libraries were imported: weights, gradients, momenta, maps, and what the allocator
wastes. rdet runs with the allocator setting of its Runner.
"""

import sys

from side_by_side import arguments, in_own_process, peak_megabytes, report
from step import Batch, networks, step_of_rdet, step_of_torchvision

from rdet.engine.memory import keep_freed_memory

CONTENDERS = ("torchvision", "rdet", "rdet, bfloat16")
STEPS = 8  # so many that what one leaves behind shows


def main() -> None:
    args = arguments("Memory of training steps", rounds=3).parse_args()
    rows, peaks = [], {}
    for name in CONTENDERS:
        of_it = [in_own_process(__file__, name)[0] for _ in range(args.rounds)]
        peaks[name] = sorted(of_it)[len(of_it) // 2]
        ratio = peaks[name] / peaks["torchvision"]
        print(f"{name}: {peaks[name]:.0f} MB ({min(of_it):.0f} to {max(of_it):.0f}), ratio {ratio:.3f}", flush=True)
        rows.append({"contender": name, "megabytes": of_it, "ratio": ratio})
    report(args.out, rows)


def run(name: str) -> None:
    """Prints what some steps of one contender take, in megabytes."""
    imported = peak_megabytes()
    if name != "torchvision":
        keep_freed_memory()
    ours, theirs = networks()
    if name == "torchvision":
        step = step_of_torchvision(theirs, Batch())
    else:
        step = step_of_rdet(ours, Batch(), bfloat16=name.endswith("bfloat16"))
    del ours, theirs  # the other one
    for _ in range(STEPS):
        step()
    print(peak_megabytes() - imported)


if __name__ == "__main__":
    run(sys.argv[1]) if sys.argv[1:2] and sys.argv[1] in CONTENDERS else main()
