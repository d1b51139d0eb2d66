"""Which image comes when, and with which random numbers."""

import random
import zlib
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from rdet.errors import ConfigError


def mix_seed(*numbers: int) -> int:
    """Make a 32-bit seed that depends on all of ``numbers``."""
    return int(np.random.SeedSequence([n & 0xFFFFFFFF for n in numbers]).generate_state(1)[0])


class Draw(NamedTuple):
    """One image of the stream: which, with which random numbers, and how far training is there.

    Iteration and epoch are counted from 0 as the loops count them: an epoch has ``len(stream)``
    iterations.
    """

    index: int
    seed: int
    iteration: int | None = None
    epoch: int | None = None


class TrainStream(Sampler):
    """Batches of one endless, shuffled stream of images.

    The stream is one permutation of the data set after the other, all functions of the seed.
    Iteration i of process r takes the stream's places (i * processes + r) * batch_size and
    following. So every batch is full, every image comes equally often, no two processes see the
    same place, and training goes on at any iteration without reading what came before.

    Yields lists of :class:`Draw`; :class:`SeededDataset` understands them.

    Args:
        length: Images in the data set.
        batch_size: Images of one batch of one process.
        rank: Of this process.
        world_size: Number of processes.
        groups: Number of the group of each image, such as :func:`orientations_of` gives; a batch has images of one
            group, but for one or two batches of each permutation. None: all are of one.

    Attributes:
        together: Images of one group that follow each other, on which the order depends; at first ``batch_size``. A run
            that goes on has the number that it began with, whatever the batches are now.
    """

    def __init__(
        self, length: int, batch_size: int, rank: int = 0, world_size: int = 1, groups: np.ndarray | None = None
    ):
        self.length = length
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.groups = groups
        self.together = 1 if groups is None else batch_size
        self.seed = 0
        self.first_iter = 0

    def start_at(self, iteration: int, seed: int) -> None:
        """Set where the next iterator begins."""
        self.first_iter = iteration
        self.seed = seed

    def __len__(self) -> int:
        """Count the iterations of one epoch, rounded up; all batches are full nevertheless."""
        return -(-self.length // (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[list[Draw]]:
        iteration = self.first_iter
        place = (self.first_iter * self.world_size + self.rank) * self.batch_size
        shuffled, order = -1, None
        while True:
            batch = []
            for position in range(place, place + self.batch_size):
                turn, index = divmod(position, self.length)
                if turn != shuffled:
                    shuffled, order = turn, self._permutation(turn)
                seed = mix_seed(self.seed, position)
                batch.append(Draw(int(order[index]), seed, iteration, iteration // len(self)))
            yield batch
            iteration += 1
            place += self.batch_size * self.world_size

    def _permutation(self, turn: int) -> np.ndarray:
        order = np.random.default_rng([self.seed, turn]).permutation(self.length)
        if self.groups is None or self.together == 1:
            return order
        return together_by_group(order, self.groups[order], self.together, -turn * self.length % self.together)


def together_by_group(order: np.ndarray, groups: np.ndarray, batch_size: int, before: int) -> np.ndarray:
    """Put images of the same group next to each other, a batch at a time; else the order stays.

    Args:
        order: (n,) images.
        groups: (n,) the group of each.
        batch_size: Images of a batch.
        before: Images that complete the batch before; whole batches follow.

    Returns:
        (n,): ``before`` images; batches of one group, by the place of their first image; what is left.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if len(members) < 2:
        return order
    ends = [len(places) // batch_size * batch_size for places in members]
    batches = np.concatenate([places[:end].reshape(-1, batch_size) for places, end in zip(members, ends, strict=True)])
    batches = batches[batches[:, 0].argsort()]
    count = max(len(order) - before, 0) // batch_size
    left = [*(places[end:] for places, end in zip(members, ends, strict=True)), batches[count:].flatten()]
    places = np.concatenate(left)
    return order[np.concatenate([places[:before], batches[:count].flatten(), places[before:]])]


def orientations_of(dataset: Dataset) -> np.ndarray:
    """Return which images are higher than wide, as their annotations state: (n,) int8.

    Raises:
        ConfigError: The data set does not say how large its images are.
    """
    sizes = sizes_of(dataset)
    if any(size is None or None in size for size in sizes):
        raise ConfigError(
            "train_dataloader.aspect_ratio_grouping: the data set does not say how high and wide its images are; set "
            "it to False"
        )
    return np.array([height > width for height, width in sizes], dtype=np.int8)


class StridedBatches(Sampler[list[int]]):
    """Every ``world_size``-th image from ``rank`` on, none twice and none left out, in batches of one size.

    A detector runs images of several sizes one size after the other, so that batches of mixed sizes gain nothing.

    Args:
        sizes: Height and width of each image, or anything else that is equal for those that belong together.
        batch_size: Most images of a batch.
        rank: Of this process.
        world_size: Number of processes.
    """

    def __init__(self, sizes: Sequence[Hashable], batch_size: int = 1, rank: int = 0, world_size: int = 1):
        self.batch_size = batch_size
        self.batches: list[list[int]] = []
        open_batches: dict[Hashable, list[int]] = {}
        for index in range(rank, len(sizes), world_size):
            batch = open_batches.get(sizes[index])
            if batch is None or len(batch) == batch_size:
                batch = open_batches[sizes[index]] = []
                self.batches.append(batch)
            batch.append(index)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def sizes_of(dataset: Dataset) -> list[tuple[int, int] | None]:
    """Return height and width of each image as its annotations state them; None of a data set that does not say."""
    if not hasattr(dataset, "get_data_info"):
        return [None] * len(dataset)
    records = map(dataset.get_data_info, range(len(dataset)))
    return [(record.get("height"), record.get("width")) for record in records]


class SeededDataset(Dataset):
    """A data set whose random transforms depend on the seed that comes with each index.

    Augmentation is then the same whatever the number of workers and after every resume. The
    states of the global generators of Python, numpy and torch are put back afterwards.

    A data set in it, however wrapped, that has a method ``set_progress(iteration, epoch)`` is told
    before each image how far training is at that image. So a change of the data at an iteration is
    exact, although workers prepare images ahead of time. A data set directly in it that has a method
    ``set_batch(indices)`` is told which images a batch has, and None after it.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.metainfo = dataset.metainfo
        self._told = [part for part in _nested(dataset) if hasattr(part, "set_progress")]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, draws: Sequence[Draw | tuple[int, int]]) -> list:
        """Return the images of a batch, which a loader asks for at once."""
        tell = getattr(self.dataset, "set_batch", lambda indices: None)
        tell([draw[0] for draw in draws])
        try:
            return [self[draw] for draw in draws]
        finally:
            tell(None)

    def __getitem__(self, draw: Draw | tuple[int, int]):
        index, seed, iteration, epoch = Draw(*draw)
        for part in self._told:
            part.set_progress(iteration, epoch)
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed GPUs too, and is not undone there
        try:
            return self.dataset[index]
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])


def images_of(dataset: Dataset) -> tuple[int, int]:
    """Return the number of images, and a checksum of which they are if bad ones are left out; 0 if none are."""
    checksum = 0
    for part in _nested(dataset):
        if getattr(part, "on_bad_image", None) == "skip":
            for index in range(len(part)):
                checksum = zlib.crc32(str(part.get_data_info(index).get("img_id")).encode(), checksum)
    return len(dataset), checksum


def _nested(dataset) -> Iterator:
    """Yield the data set and all those that it wraps."""
    yield dataset
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    for part in inner:
        if part is not None:
            yield from _nested(part)
