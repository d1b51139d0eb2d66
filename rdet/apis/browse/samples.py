"""Images as the network gets them, one after the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rdet.engine.sampling import Draw, SeededDataset, TrainStream, mix_seed
from rdet.errors import BadImageError, PipelineError, message_of
from rdet.structures.unfinished_image import finished
from rdet.visualization.sample import Sample

_MOST_BAD = 50  # images, after which the others are probably bad too


def draws(
    length: int, to_train: bool, seed: int, epoch: int, batch_size: int, groups: np.ndarray | None = None
) -> Iterator[Draw]:
    """Yield which images are looked at, without end if they are to train on.

    Those are the first ones that a training of one process with this seed gets in the epoch, with its random numbers.
    Others come in an order that the seed draws.

    Args:
        length: Images of the data set.
        to_train: Whether they are to train on.
        seed: Of the training.
        epoch: Counted from 0.
        batch_size: Of the training.
        groups: See :class:`~rdet.engine.sampling.TrainStream`.
    """
    if not to_train:
        for index in np.random.default_rng(seed).permutation(length).tolist():
            yield Draw(index, mix_seed(seed, index), 0, epoch)
        return
    stream = TrainStream(length, batch_size, groups=groups)
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
        if good == num or len(bad) == min(len(dataset), _MOST_BAD):
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
        yield Sample(finished(item["inputs"]), item["data_samples"])
