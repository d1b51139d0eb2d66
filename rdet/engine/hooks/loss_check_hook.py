"""Stops a run whose loss is no longer a number."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from rdet.engine.hooks.runtime_info_hook import RuntimeInfoHook
from rdet.engine.step_values import StepValues
from rdet.errors import ConfigError, NonFiniteLossError, OutputError, PipelineError
from rdet.files import write_tensors
from rdet.messages import in_one_line
from rdet.registry import HOOKS
from rdet.structures.unfinished_image import finished


@HOOKS.register_module()
class LossCheckHook(Hook):
    """Raises at the first loss that is NaN or infinite, and saves the batch that gave it.

    It looks when :class:`~rdet.engine.hooks.runtime_info_hook.RuntimeInfoHook` reads the losses: after each step on a
    CPU, after some steps on a GPU, and before each checkpoint, so that the last one holds the weights from before.
    Means over all processes are looked at: all stop together, and the one whose own loss it is names the images.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner) -> None:
        if not any(isinstance(hook, RuntimeInfoHook) for hook in runner.hooks):
            raise ConfigError(
                "default_hooks.loss_check takes the losses from default_hooks.runtime_info, which is another hook than "
                "RuntimeInfoHook; leave that out"
            )
        self._samples: dict[int, Sequence[Any]] = {}  # of the steps that were not looked at
        self._last: tuple[int, dict[str, Any]] = (0, {})

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Remember which images the step is of, and the images of the last one."""
        self._last = runner.iter + 1, data_batch
        self._samples[runner.iter + 1] = (data_batch or {}).get("data_samples", ())  # none is said by what needs them

    def after_look(self, runner, steps: Sequence[StepValues]) -> None:
        """Raise NonFiniteLossError, naming the losses, the images and the file with the batch."""
        for step in steps:
            samples = self._samples.pop(step.iteration)
            if not math.isfinite(step.means["loss"]):
                raise NonFiniteLossError(self._said_of(runner, step, samples))

    def _said_of(self, runner, step: StepValues, samples: Sequence[Any]) -> str:
        begun = f", begun from {runner._load_from}" if runner._load_from else ""
        where = f"iteration {step.iteration}{begun}: the loss"
        if math.isfinite(step.own["loss"]):
            return f"{where} of another process is not finite; it says of which images"
        images = [_name_of(sample) for sample in samples]
        batch: dict[str, Any] = {
            "img_paths": images,
            "bboxes": [sample.gt_instances.bboxes for sample in samples],
            "labels": [sample.gt_instances.labels for sample in samples],
            "ignored_bboxes": [sample.ignored_instances.bboxes for sample in samples],
        }
        without = ""
        try:
            batch["inputs"] = [finished(image) for image in self._inputs_of(runner, step.iteration, images)]
        except Exception as error:  # whatever a data set may raise: what is known is saved
            without = f" without its images ({in_one_line(error)})"
        path = Path(runner.work_dir) / f"nonfinite_iter_{step.iteration}_rank_{runner.rank}.pth"
        try:
            write_tensors(path, batch)
            saved = f"batch saved to {path}{without}"
        except OutputError as error:
            saved = f"batch not saved: {error}"
        losses = ", ".join(f"{name} {value}" for name, value in step.own.items())
        return (
            f"{where} is not finite ({losses}); {saved}; images: {', '.join(images)}. Lower the learning rate, "
            "lengthen the warm-up, or set optim_wrapper.clip_grad"
        )

    def _inputs_of(self, runner, iteration: int, names: list[str]) -> list[Any]:
        """Return the images of a step; those of an earlier one are loaded again, with the same random numbers."""
        if iteration == self._last[0]:
            return list(self._last[1]["inputs"])
        loader = runner.train_dataloader
        stream = copy.copy(loader.batch_sampler)
        stream.start_at(iteration - 1, runner.seed)
        loaded = [loader.dataset[draw] for draw in next(iter(stream))]
        if [_name_of(item["data_samples"]) for item in loaded] != names:
            raise PipelineError("the data set gives others now")
        return [item["inputs"] for item in loaded]


def _name_of(sample: Any) -> str:
    return str(sample.get("img_path", sample.get("img_id")))
