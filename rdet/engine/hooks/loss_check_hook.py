"""Stops a run whose loss is no longer a number."""

from pathlib import Path

import torch
from mmengine.hooks import Hook

from rdet.errors import NonFiniteLossError, OutputError
from rdet.files import write_tensors
from rdet.registry import HOOKS


@HOOKS.register_module()
class LossCheckHook(Hook):
    """Raises at the first loss that is NaN or infinite, and saves the batch that gave it.

    It runs before checkpoints are written, so the last checkpoint holds the weights from before.
    The losses that a detector returns are means over all processes: all stop together.
    """

    priority = "VERY_HIGH"

    def after_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None, outputs=None) -> None:
        """Raise NonFiniteLossError, naming the losses, the images and the file with the batch."""
        if torch.isfinite(torch.as_tensor(outputs["loss"])):
            return
        path = Path(runner.work_dir) / f"nonfinite_iter_{runner.iter + 1}_rank_{runner.rank}.pth"
        samples = data_batch["data_samples"]
        images = [sample.get("img_path", str(sample.get("img_id"))) for sample in samples]
        batch = {
            "inputs": list(data_batch["inputs"]),
            "img_paths": images,
            "bboxes": [sample.gt_instances.bboxes for sample in samples],
            "labels": [sample.gt_instances.labels for sample in samples],
            "ignored_bboxes": [sample.ignored_instances.bboxes for sample in samples],
        }
        try:
            write_tensors(path, batch)
            saved = f"batch saved to {path}"
        except OutputError as error:
            saved = f"batch not saved: {error}"
        losses = ", ".join(f"{name} {float(value)}" for name, value in outputs.items())
        raise NonFiniteLossError(
            f"iteration {runner.iter + 1}: the loss is not finite ({losses}); {saved}; images: "
            f"{', '.join(images)}. Lower the learning rate, lengthen the warm-up, or set optim_wrapper.clip_grad"
        )
