"""Images as the network gets them.

G objects and I regions to ignore of an image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from rdet.engine.sampling import Draw, SeededDataset, TrainStream, mix_seed
from rdet.errors import BadImageError, PipelineError, message_of
from rdet.structures import DetDataSample
from rdet.visualization.canvas import as_rgb


@dataclass(frozen=True)
class Sample:
    """One image and its boxes.

    Attributes:
        inputs: (N, H, W), what goes to the data preprocessor.
        data: Of the image.
    """

    inputs: Tensor
    data: DetDataSample

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        image = self.inputs.permute(1, 2, 0).numpy()
        return as_rgb(image[:, :, ::-1] if image.shape[2] == 3 else image)

    @property
    def boxes(self) -> np.ndarray:
        """(G, 4) xyxy in pixels of the input."""
        return self._of("gt_instances", "bboxes")

    @property
    def labels(self) -> np.ndarray:
        """(G,) int64."""
        return self._of("gt_instances", "labels")

    @property
    def ignored(self) -> np.ndarray:
        """(I, 4) xyxy."""
        return self._of("ignored_instances", "bboxes")

    def _of(self, instances: str, key: str) -> np.ndarray:
        if instances not in self.data:
            return np.empty((0, 4) if key == "bboxes" else 0, np.float32 if key == "bboxes" else np.int64)
        return self.data.get(instances)[key].numpy()


def draws(length: int, to_train: bool, seed: int, epoch: int, batch_size: int) -> Iterator[Draw]:
    """Yield which images are looked at, without end if they are to train on.

    Those are the first ones that a training of one process with this seed gets in the epoch, with its random numbers.
    Others come in an order that the seed draws.

    Args:
        length: Images of the data set.
        to_train: Whether they are to train on.
        seed: Of the training.
        epoch: Counted from 0.
        batch_size: Of the training.
    """
    if not to_train:
        for index in np.random.default_rng(seed).permutation(length).tolist():
            yield Draw(index, mix_seed(seed, index), 0, epoch)
        return
    stream = TrainStream(length, batch_size)
    stream.start_at(epoch * len(stream), seed)
    for batch in stream:
        yield from batch


def samples(dataset: Any, order: Iterator[Draw], num: int) -> Iterator[Sample | str]:
    """Yield ``num`` images of a data set, or as many as can be used, and what is wrong with each that cannot.

    Raises:
        PipelineError: What the pipeline gives is not packed.
    """
    seeded, bad = SeededDataset(dataset), set()
    good = 0
    for draw in order:
        if good == num or len(bad) == len(dataset):
            return
        try:
            item = seeded[draw]
        except (BadImageError, PipelineError) as error:
            if draw.index not in bad:
                yield message_of(error)
            bad.add(draw.index)
            continue
        if not isinstance(item, dict) or "inputs" not in item or "data_samples" not in item:
            raise PipelineError("the pipeline gives no inputs and data_samples; end it with dict(type='PackDetInputs')")
        good += 1
        yield Sample(item["inputs"], item["data_samples"])
