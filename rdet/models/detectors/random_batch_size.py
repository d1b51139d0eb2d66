"""Training on batches of changing sizes."""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.registry import MODELS
from rdet.schema import Count
from rdet.structures import DetDataSample


@MODELS.register_module()
class RandomBatchSize(nn.Module):
    """Resizes each batch to a height that is drawn anew every few iterations (YOLOX, Ge et al., 2021, as in its code).

    The height is a function of the run's seed and the iteration: the same in all processes, and after a resume. Without
    a training loop, which says the iteration, batches stay as they are.

    Args:
        sides: Least and greatest height in pixels; the width keeps its ratio.
        divisor: Height and width are multiples of it.
        interval: Iterations between two heights.

    Raises:
        ValueError: No multiple of ``divisor`` lies between the sides.
    """

    def __init__(self, sides: tuple[Count, Count], divisor: Count = 32, interval: Count = 10):
        super().__init__()
        self.steps = -(-sides[0] // divisor), sides[1] // divisor
        if self.steps[0] > self.steps[1]:
            raise ValueError(f"batch_resize.sides is {tuple(sides)}; no multiple of {divisor} lies between them")
        self.divisor = divisor
        self.interval = interval
        self._steps: int | None = None

    def set_iteration(self, iteration: int, seed: int) -> None:
        """Say which iteration of a run begins, counted from 0."""
        self._steps = random.Random(f"{seed} {iteration // self.interval}").randint(*self.steps)

    def forward(self, batch: Tensor, samples: Sequence[DetDataSample]) -> Tensor:
        """Resize a batch (N, C, H, W), and the boxes and sizes of its samples in place."""
        if self._steps is None:
            return batch
        height, width = batch.shape[-2:]
        size = self._steps * self.divisor, max(1, int(self._steps * width / height)) * self.divisor
        if size == (height, width):
            return batch
        factors = size[0] / height, size[1] / width
        of_boxes = torch.tensor([factors[1], factors[0]] * 2)
        for sample in samples:
            for annotations in (sample.gt_instances, sample.ignored_instances):
                annotations.bboxes.mul_(of_boxes.to(annotations.bboxes))
            for key in ("img_shape", "pad_shape"):
                sides = (int(side * factor) for side, factor in zip(sample.get(key), factors, strict=True))
                sample.set_metainfo({key: tuple(sides)})
        return F.interpolate(batch, size=size, mode="bilinear", align_corners=False)
