"""The losses of the data that a training is evaluated on."""

import math
from collections import defaultdict
from typing import Any

import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from rdet.errors import ConfigError
from rdet.processes import host_group
from rdet.registry import HOOKS

PREFIX = "val/"


@HOOKS.register_module()
class ValLossHook(Hook):
    """Adds ``val/loss``, ``val/loss_cls`` and so on to the metrics of each evaluation in a training.

    They are the losses of all images as if they were one batch: batches and processes make no difference. They are of
    the predictions that are evaluated, of the averaged weights where an ``EMAHook`` swaps them in, and cost no second
    pass of the network. As metrics they can be watched: ``save_best="val/loss", rule="less"``.
    """

    priority = "HIGHEST"  # before the metrics are logged

    def before_train(self, runner) -> None:
        """Raise ConfigError if the detector cannot tell the losses of images, or nothing is evaluated."""
        if not hasattr(_detector(runner), "on_predictions"):
            raise ConfigError("ValLossHook needs a model of the kind OneStageDetector; leave the hook out")
        if runner.val_loop is None:
            raise ConfigError("ValLossHook needs images to evaluate; set val_dataloader, or leave the hook out")

    def before_val_epoch(self, runner) -> None:
        self._losses: dict[str, list[float]] = defaultdict(list)
        self._counts: list[float] = []
        detector = _detector(runner)

        def add(*predicted: Any) -> None:
            found = detector.image_losses(*predicted)
            self._counts += found.counts.tolist()
            for name, values in found.losses.items():
                self._losses[name] += values.tolist()

        detector.on_predictions = add

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Add the losses to the metrics, on all processes."""
        _detector(runner).on_predictions = None
        losses, counts = _of_all_processes(dict(self._losses), self._counts)
        divisor = math.fsum(counts) or 1.0
        means = {name: math.fsum(values) / divisor for name, values in losses.items()}
        if metrics is not None and means:
            metrics[f"{PREFIX}loss"] = math.fsum(value for name, value in means.items() if "loss" in name)
            metrics |= {f"{PREFIX}{name}": value for name, value in means.items()}


def _detector(runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _of_all_processes(
    losses: dict[str, list[float]], counts: list[float]
) -> tuple[dict[str, list[float]], list[float]]:
    if not (dist.is_available() and dist.is_initialized()):
        return losses, counts
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, (losses, counts), group=host_group())
    joined: dict[str, list[float]] = defaultdict(list)
    for part, _ in parts:
        for name, values in part.items():
            joined[name] += values
    return joined, [count for _, part in parts for count in part]
