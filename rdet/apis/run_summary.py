"""What is trained or tested, on what, how long, and where the results go: a few lines before the first iteration."""

import copy
import os

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def run_summary(runner: Runner, cfg: Config, model: nn.Module, iterations: int | None) -> str:
    """Describe a run in four lines.

    Args:
        runner: Of the run, whose log says the rest.
        cfg: Its config.
        model: The detector.
        iterations: Of an epoch; None for a test.
    """
    lines = [_detector_line(model, runner.rank == 0), _machine_line(runner)]
    if iterations is not None:
        lines.append(_schedule_line(cfg, iterations, runner.world_size))
    lines.append(f"results in {runner.work_dir}; the whole config and the machine are in {runner.log_dir}")
    return "\n".join(lines)


def _detector_line(model: nn.Module, with_operations: bool) -> str:
    parts = [getattr(model, slot, None) for slot in ("backbone", "neck", "bbox_head")]
    names = ", ".join(type(part).__name__ for part in parts if part is not None)
    count = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    line = f"{type(model).__name__} ({names}): {_short(count)} parameters, {_short(trained)} of them trained"
    size = (800, 1344)
    operations = operations_of(model, size) if with_operations else None
    return line if operations is None else f"{line}; {_short(operations)} operations an image of {size[0]} x {size[1]}"


def operations_of(model: nn.Module, size: tuple[int, int]) -> int | None:
    """Count the floating-point operations of a forward pass, without computing it; an addition and a product are two.

    Args:
        model: A detector; it stays as it is.
        size: Height and width of the image.

    Returns:
        None for a network that cannot run on tensors without data.
    """
    try:
        network = copy.deepcopy(model).to("meta").eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.empty(1, len(model.data_preprocessor.mean), *size, device="meta"))
    except Exception:  # of a part of the user's, which may look at values
        return None
    return counter.get_total_flops()


def _machine_line(runner: Runner) -> str:
    device = next(runner.model.parameters()).device
    if device.type == "cuda":
        where = f"{device} ({torch.cuda.get_device_name(device)})"
    else:
        threads, cores = torch.get_num_threads(), os.cpu_count()
        where = f"{device} with {threads} of {cores} threads"
    processes = f"{runner.world_size} processes, each on " if runner.world_size > 1 else "on "
    return f"{processes}{where}; torch {torch.__version__}; seed {runner.seed}"


def _schedule_line(cfg: Config, iterations: int, processes: int) -> str:
    batch = cfg.train_dataloader.get("batch_size", 1) * processes * cfg.optim_wrapper.get("accumulative_counts", 1)
    if "minutes" in cfg.train_cfg:
        length = f"{cfg.train_cfg.minutes:g} minutes, an epoch has {iterations} iterations"
    elif cfg.train_cfg.get("by_epoch", True):
        length = f"{cfg.train_cfg.max_epochs} epochs of {iterations} iterations"
    else:
        length = f"{cfg.train_cfg.max_iters} iterations, an epoch has {iterations}"
    optimizer = cfg.optim_wrapper.optimizer
    rate = f" with a rate of {optimizer.lr:g}" if "lr" in optimizer else ""
    return f"{length}; {batch} images a step; {optimizer.type}{rate}"


def _short(number: float) -> str:
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:g}"
