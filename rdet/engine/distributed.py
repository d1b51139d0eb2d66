"""Process groups: joined on machines without a GPU, left at the end of a run."""

import gc
import os

import torch.distributed as dist
from mmengine.device import get_device

from rdet.errors import ConfigError

# launcher -> environment variables that hold rank, number of processes and local rank.
_VARIABLES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}


def init_cpu_process_group(launcher: str) -> None:
    """Join the processes that ``launcher`` started, with gloo; mmengine's own call demands a GPU.

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
    dist.init_process_group("gloo")


def cpu_only() -> bool:
    """Tell whether mmengine finds no other device to run on."""
    return get_device() == "cpu"


def leave_process_group() -> None:
    """End what a finished run shares with other processes, once the run itself is no longer held.

    gloo's threads let go of their last tensors after the operation is over, and abort the process if Python
    is gone by then (pytorch/pytorch#179291). They are joined when nothing refers to their group, which
    a detector wrapped for training does.
    """
    gc.collect()  # a Runner refers to itself
    if dist.is_initialized():
        dist.destroy_process_group()
