"""What the runner and inference ask of any detector."""

from functools import reduce
from operator import add
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from rdet.models.detectors.optimize import optimize_for_inference
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.out_of_memory import out_of_memory_explained
from rdet.structures import DetDataSample
from rdet.structures.unfinished_image import Image


class BaseDetector(BaseModel):
    """Base of detectors; a ``forward`` with the modes ``'tensor'``, ``'loss'`` and ``'predict'`` is theirs.

    Attributes:
        cfg, classes: As :func:`~rdet.apis.inference.init_detector` sets them.
        postprocess: What merges detections of slices and of augmented views.
    """

    cfg: Config
    classes: tuple[str, ...]
    postprocess: DensePostprocess
    batch_size: int | None = None

    def batch_key(self, image: Image) -> tuple[int, ...]:
        """Return what an image (C, H, W) has in common with those that may run with it: its shape."""
        return tuple(image.shape)

    def optimize_for_inference(self, dtype: torch.dtype | None = None) -> None:
        """Make inference faster, for good; see :func:`~rdet.models.detectors.optimize.optimize_for_inference`."""
        optimize_for_inference(self, dtype)

    def test_step(self, data: dict[str, Any]) -> list[DetDataSample]:
        """Detect in a batch, as if each image were alone.

        An image that is padded to the size of another is another input: convolutions see the padding at its edges, and
        group normalisation counts it. So only images of one size go through the network together.

        Args:
            data: ``inputs``, N images; ``data_samples``, N samples.

        Returns:
            The samples, in their order, with ``pred_instances``.

        Raises:
            OutOfMemoryError: The device has no memory for the batch.
        """
        remedy = "lower the batch size or the size of the images, or take --amp"
        with out_of_memory_explained(data, remedy):
            return self._detected(data)

    def _detected(self, data: dict[str, Any]) -> list[DetDataSample]:
        group = getattr(self.data_preprocessor, "of_one_size", None)
        groups = group(data["inputs"]) if group is not None and "inputs" in data else []
        if len(groups) < 2:
            return cast("list[DetDataSample]", super().test_step(data))
        samples: dict[int, DetDataSample] = {}
        for indices in groups:
            part = {key: [values[index] for index in indices] for key, values in data.items()}
            samples |= zip(indices, super().test_step(part), strict=True)
        return [samples[index] for index in range(len(samples))]

    val_step = test_step

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Add up the losses.

        The total is the sum of the values whose name contains ``loss``, as everywhere in mmengine; the others are only
        logged. Values to log are of this process; a run averages them after the step, since to do it here would hold up
        the backward pass.

        Args:
            losses: Name -> scalar.

        Returns:
            The total, to differentiate; and name -> value without gradient, ``loss`` for the total.
        """
        total = reduce(add, [value for name, value in losses.items() if "loss" in name])
        return total, {"loss": total.detach(), **{name: value.detach() for name, value in losses.items()}}


def in_original_pixels(samples: list[DetDataSample], device: torch.device) -> Tensor:
    """Return what the boxes of each image are divided by, to lie in the image as it was loaded: (N, 1, 4)."""
    factors = torch.tensor([sample.scale_factor for sample in samples]).repeat(1, 2)
    return factors.to(device, torch.float32, non_blocking=True)[:, None]  # in one copy for all images
