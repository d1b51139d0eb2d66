"""Process groups: joined on machines without a GPU, left at the end of a run."""

import gc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from mmengine.device import get_device
from mmengine.dist import init_dist
from torch import Tensor

from rdet.errors import ConfigError, ProcessLostError, RdetError
from rdet.processes import forget_groups

# launcher -> environment variables that hold rank, number of processes and local rank.
_VARIABLES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}


# What gloo and NCCL say when another process is gone.
_LOST = re.compile(
    r"closed by peer|reset by peer|Broken pipe|Socket closed|Read error|Write error|[Tt]imed out|remote process exited|"
    r"failed to connect|Connection refused"
)


def join_processes(launcher: str, env_cfg: Mapping[str, Any]) -> None:
    """Join the processes that ``launcher`` started, unless there are none or they have joined.

    Args:
        launcher: See :func:`init_cpu_process_group`; ``'none'``: there is one process.
        env_cfg: Its ``dist_cfg`` has the arguments of torch's ``init_process_group``.
    """
    if launcher == "none" or dist.is_initialized():
        return
    given = env_cfg.get("dist_cfg") or {}
    if cpu_only():
        init_cpu_process_group(launcher, given.get("timeout"))
    else:
        init_dist(launcher, **given, **meeting_of_this_attempt())


def init_cpu_process_group(launcher: str, seconds: float | None = None) -> None:
    """Join the processes that ``launcher`` started, with gloo; mmengine's own call demands a GPU.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        seconds: How long a process waits for another that does not answer; None: torch's half an hour.

    Raises:
        ConfigError: The launcher is unknown, or did not start this process.
    """
    if launcher not in _VARIABLES:
        raise ConfigError(f"launcher is {launcher!r}; valid: none, {', '.join(_VARIABLES)}")
    names = _VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigError(
            f"--launcher {launcher}, but {missing[0]} is not set; start it with tools/dist_train.sh or srun"
        )
    for target, name in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), names, strict=True):
        os.environ[target] = os.environ[name]
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29500")
    timeout = None if seconds is None else timedelta(seconds=seconds)
    dist.init_process_group("gloo", timeout=timeout, **meeting_of_this_attempt())


def meeting_of_this_attempt() -> dict[str, Any]:
    """Return where processes that torchrun started again meet, as arguments of ``init_process_group``.

    With a static address, torch has them read in one store what those of the attempt before wrote: the addresses of
    processes that are gone. Nothing is returned for a first attempt, nor for several machines, which count apart.
    """
    environment = os.environ
    attempt = environment.get("TORCHELASTIC_RESTART_COUNT", "0")
    on_one_machine = environment.get("LOCAL_WORLD_SIZE") == environment.get("WORLD_SIZE")
    if attempt == "0" or environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or not on_one_machine:
        return {}
    store = dist.TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), is_master=False)
    return {
        "store": dist.PrefixStore(f"attempt_{attempt}", store),
        "rank": int(environment["RANK"]),
        "world_size": int(environment["WORLD_SIZE"]),
    }


@contextmanager
def naming_lost_processes() -> Iterator[None]:
    """Have what the network says of a process that is gone be one line.

    Raises:
        ProcessLostError: Another process has ended, or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        found = _LOST.search(str(error)) if dist.is_initialized() and not isinstance(error, RdetError) else None
        if found is None:
            raise
        raise ProcessLostError(
            f"process {dist.get_rank()}: another process of this run has ended or does not answer ({found[0]}); see "
            "what it said, and start all again; a training goes on with --resume"
        ) from error


def average_in_order(group: dist.ProcessGroup | None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Average gradients over the processes, each number in the order of the processes.

    torch's own order depends on where a gradient lies in its bucket. That changes after the first step of a program, so
    a run of three processes or more that was resumed would differ in the last digits. To be registered as a hook of
    ``DistributedDataParallel``; it takes as many times the memory and the traffic as there are processes.
    """
    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    gathered = dist.all_gather(parts, own, group=group, async_op=True).get_future()

    def average(_: torch.futures.Future) -> Tensor:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total / len(parts)

    return gathered.then(average)


def cpu_only() -> bool:
    """Tell whether mmengine finds no other device to run on."""
    return get_device() == "cpu"


def leave_process_group() -> None:
    """End what a finished run shares with other processes, once the run itself is no longer held.

    gloo's threads let go of their last tensors after the operation is over, and abort the process if Python
    is gone by then (pytorch/pytorch#179291). They are joined when nothing refers to their group, which
    a detector wrapped for training does.
    """
    forget_groups()
    gc.collect()  # a Runner refers to itself
    if dist.is_initialized():
        dist.destroy_process_group()
