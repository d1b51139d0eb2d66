"""Ground truth of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rdet.structures.det_data_sample import DetDataSample


@dataclass(frozen=True)
class GroundTruth:
    """Boxes of N images, one image after the other, where they were loaded: mostly on the host.

    Attributes:
        boxes: (G, 4) float32 xyxy in pixels of the network's input.
        labels: (G,) int64, their classes.
        counts: Number of boxes of each image, N numbers.
        ignored: (I, 4) xyxy regions that are neither object nor background, such as crowds.
        ignored_counts: Number of these regions of each image, N numbers.
        image_sizes: (height, width) of each image before padding.
        padded_sizes: (height, width) of each image after padding it alone, at most the size of the batch.
    """

    boxes: Tensor
    labels: Tensor
    counts: list[int]
    ignored: Tensor
    ignored_counts: list[int]
    image_sizes: list[tuple[int, int]]
    padded_sizes: list[tuple[int, int]]

    @classmethod
    def of_samples(cls, samples: Sequence[DetDataSample]) -> "GroundTruth":
        """Join the annotations of samples, which have ``gt_instances``, ``ignored_instances`` and ``img_shape``.

        Pinned ones give pinned ones, whose copy to a GPU is not waited for.
        """
        truths = [sample.gt_instances for sample in samples]
        ignored = [sample.ignored_instances.bboxes for sample in samples]
        return cls(
            boxes=_joined([truth.bboxes for truth in truths]),
            labels=_joined([truth.labels for truth in truths]),
            counts=[len(truth.bboxes) for truth in truths],
            ignored=_joined(ignored),
            ignored_counts=[len(regions) for regions in ignored],
            image_sizes=[sample.img_shape for sample in samples],
            padded_sizes=[sample.get("pad_shape", sample.img_shape) for sample in samples],
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    joined = torch.cat(list(parts))
    # All are or none; an empty one need not say so.
    return joined.pin_memory() if max(parts, key=len).is_pinned() else joined
