"""Two processes against one with two threads: python benchmarks/processes.py

Training steps of RetinaNet R50-FPN at 512 x 512 pixels, four images at a time in all: one process with two threads, and
two with one thread each that average their gradients as under rdet's Runner on CPUs (gloo).
"""

import os
import sys
import time
from statistics import median

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from side_by_side import arguments, free_port, in_own_process, report
from step import Batch, networks, step_of_rdet

from rdet.engine.memory import keep_freed_memory

IMAGES, STEPS = 4, 3
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    args = arguments("Two processes", rounds=3).parse_args()
    rows = []
    for precision in PRECISIONS:
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(args.rounds):
            for processes, of_it in rates.items():
                of_it += in_own_process(__file__, precision, str(processes))
        for processes, of_it in rates.items():
            ratio = median(of_it) / median(rates[1])
            print(
                f"{precision}, {processes} process(es): {median(of_it):.3f} images/s "
                f"({min(of_it):.3f} to {max(of_it):.3f}), x {ratio:.3f}",
                flush=True,
            )
            rows.append({"precision": precision, "processes": processes, "images_per_second": of_it, "ratio": ratio})
    report(args.out, rows)


def run(precision: str, processes: int) -> None:
    """Prints images a second."""
    if processes == 1:
        torch.set_num_threads(2)
        print(rate(precision, IMAGES))
        return
    port = free_port()
    mp.spawn(_one_of_two, args=(precision, port), nprocs=processes)


def _one_of_two(rank: int, precision: str, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    images_per_second = 2 * rate(precision, IMAGES // 2, distributed=True)
    if rank == 0:
        print(images_per_second)
    dist.destroy_process_group()


def rate(precision: str, images: int, distributed: bool = False) -> float:
    """Images that this process trains on in a second."""
    keep_freed_memory()
    network, _ = networks()
    if distributed:
        network = MMDistributedDataParallel(network, broadcast_buffers=False)
    step = step_of_rdet(network, Batch(images), bfloat16=precision == "bfloat16")
    step()
    if distributed:
        dist.barrier()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    if distributed:
        dist.barrier()
    return STEPS * images / (time.perf_counter() - start)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2])) if sys.argv[1:2] and sys.argv[1] in PRECISIONS else main()
