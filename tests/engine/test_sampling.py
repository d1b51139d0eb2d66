"""Laws of the data order."""

import itertools
import random
from itertools import islice

import numpy as np
import pytest
import torch

from rdet.engine.sampling import (
    Draw,
    SeededDataset,
    StridedBatches,
    TrainStream,
    images_of,
    orientations_of,
    sizes_of,
)
from rdet.errors import ConfigError


def take(stream: TrainStream, count: int, first: int = 0, seed: int = 5) -> list:
    stream.start_at(first, seed)
    return list(islice(stream, count))


@pytest.mark.parametrize(
    ("length", "batch_size", "world_size"), [(13, 2, 1), (13, 2, 2), (3, 4, 1), (1, 1, 2), (8, 4, 2)]
)
def test_every_image_comes_equally_often(length, batch_size, world_size):
    iterations = length * 3
    streams = [take(TrainStream(length, batch_size, rank, world_size), iterations) for rank in range(world_size)]
    joint = [index for batches in zip(*streams, strict=True) for batch in batches for index, *_ in batch]
    for turn in range(len(joint) // length):
        assert sorted(joint[turn * length : (turn + 1) * length]) == list(range(length))


def grouped(length, batch_size, rank=0, world_size=1):
    return TrainStream(length, batch_size, rank, world_size, groups=np.arange(length) % 7 % 3 == 0)


@pytest.mark.parametrize(
    ("length", "batch_size", "world_size"), [(40, 2, 1), (41, 4, 3), (43, 5, 2), (3, 4, 1), (1, 3, 2), (7, 16, 1)]
)
def test_grouped_images_come_equally_often(length, batch_size, world_size):
    iterations = length * 4
    streams = [take(grouped(length, batch_size, rank, world_size), iterations) for rank in range(world_size)]
    joint = [index for batches in zip(*streams, strict=True) for batch in batches for index, *_ in batch]
    for turn in range(len(joint) // length):
        assert sorted(joint[turn * length : (turn + 1) * length]) == list(range(length))
    assert take(streams_first := grouped(length, batch_size), 5, 11) == take(streams_first, 16)[11:]


@pytest.mark.parametrize(("batch_size", "world_size"), [(2, 1), (4, 2), (5, 3)])
def test_batches_are_of_one_group(batch_size, world_size):
    length = 211
    turns = 12
    iterations = turns * length // (batch_size * world_size)
    mixed, firsts = 0, []
    for rank in range(world_size):
        stream = grouped(length, batch_size, rank, world_size)
        for batch in take(stream, iterations):
            found = {bool(stream.groups[draw.index]) for draw in batch}
            mixed += len(found) > 1
            firsts.append(min(found))
    assert mixed <= 3 * turns
    assert 0.2 < np.mean(firsts) < 0.6  # of either group
    changes = np.mean(np.diff(firsts) != 0)
    assert changes > 0.3  # in turns, not one group after the other


def test_of_one_group_the_order_is_that_without_groups():
    for groups in (np.zeros(13), np.ones(13, dtype=bool)):
        assert take(TrainStream(13, 4, groups=groups), 9) == take(TrainStream(13, 4), 9)


def test_a_run_goes_on_with_as_many_images_together_as_it_began_with():
    """Elsewhere it may have other processes, with smaller batches."""
    began = take(grouped(41, 4), 30)
    streams = [grouped(41, 2, rank, 2) for rank in range(2)]
    for stream in streams:
        assert stream.together == 2
        stream.together = 4
    parts = [take(stream, 12, first=18) for stream in streams]
    assert [list(itertools.chain(*batches)) for batches in zip(*parts, strict=True)] == began[18:]
    alone = grouped(41, 4)
    alone.together = 1  # of a run without groups
    assert take(alone, 9) == take(TrainStream(41, 4), 9)


def test_orientations():
    class Sized(list):
        get_data_info = list.__getitem__

    sizes = [(3, 4), (4, 3), (4, 4)]
    dataset = Sized({"height": height, "width": width} for height, width in sizes)
    assert orientations_of(dataset).tolist() == [0, 1, 0]
    for unknown in ([1, 2], Sized([{"height": 3, "width": None}])):
        with pytest.raises(ConfigError, match="aspect_ratio_grouping: the data set does not say .* set it to False"):
            orientations_of(unknown)


def test_processes_share_the_batches_of_one():
    one = take(TrainStream(13, 6), 9)
    parts = [take(TrainStream(13, 2, rank, 3), 9) for rank in range(3)]
    assert [list(itertools.chain(*batches)) for batches in zip(*parts, strict=True)] == one


@pytest.mark.parametrize("first", [1, 6, 7, 40])
def test_stream_continues_at_any_iteration(first):
    stream = TrainStream(13, 2)
    assert take(stream, 5, first) == take(stream, first + 5)[first:]


def test_seed_and_turn_change_the_order():
    stream = TrainStream(50, 50)
    (first, second), (other,) = take(stream, 2, seed=1), take(stream, 1, seed=2)
    assert len({tuple(draw.index for draw in batch) for batch in (first, second, other)}) == 3
    assert len({draw.seed for draw in first + second}) == 100


def test_order_and_seeds_are_those_of_earlier_versions():
    """A checkpoint holds only the iteration: another order here would give its run other images after a resume."""
    draws = [draw for batch in take(TrainStream(5, 3), 2, first=1) for draw in batch]
    assert [draw.index for draw in draws] == [2, 0, 2, 0, 4, 3]
    assert [draw.seed for draw in draws] == [727168946, 278233753, 1608096988, 1827940263, 2524741263, 881582233]


@pytest.mark.parametrize("first", [0, 5, 6, 20])
@pytest.mark.parametrize("world_size", [1, 2])
def test_draws_know_their_iteration_and_epoch(first, world_size):
    """Thirteen images, two an iteration: seven iterations an epoch; with two processes, four."""
    for rank in range(world_size):
        batches = take(TrainStream(13, 2, rank, world_size), 20, first)
        for iteration, batch in enumerate(batches, start=first):
            epoch = iteration // (7 if world_size == 1 else 4)
            assert [(draw.iteration, draw.epoch) for draw in batch] == [(iteration, epoch)] * 2


def test_length_is_that_of_an_epoch():
    assert [len(TrainStream(13, 2, 0, world_size)) for world_size in (1, 2, 8)] == [7, 4, 1]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(("length", "world_size"), [(13, 2), (13, 1), (2, 4)])
def test_evaluation_sees_each_image_once_in_batches_of_one_size(length, world_size, batch_size):
    sizes = [(64, 32 + 32 * (index % 3 == 0)) for index in range(length)]
    samplers = [StridedBatches(sizes, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [batch for sampler in samplers for batch in sampler]
    assert sorted(itertools.chain(*batches)) == list(range(length))
    assert all(len({sizes[index] for index in batch}) == 1 and len(batch) <= batch_size for batch in batches)
    assert sum(map(len, samplers)) == len(batches)


def test_as_few_batches_as_sizes_allow():
    sizes = [(64, 32), (64, 64), (64, 32), None, (64, 32), (64, 64), None]
    assert list(StridedBatches(sizes, 2)) == [[0, 2], [1, 5], [3, 6], [4]]


def test_sizes_that_nobody_says_are_one():
    assert sizes_of([1, 2, 3]) == [None] * 3


class RandomNumbers:
    metainfo = {"classes": ("a",)}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def test_seed_of_an_image_decides_all_its_random_numbers():
    dataset = SeededDataset(RandomNumbers())
    first = dataset[2, 7]
    assert dataset[2, 7] == first
    assert all(a != b for a, b in zip(dataset[2, 8][1:], first[1:], strict=True))
    assert dataset.metainfo == {"classes": ("a",)}


class Told(RandomNumbers):
    def __init__(self, **inner):
        vars(self).update(inner)
        self.progress = []

    def set_progress(self, iteration, epoch):
        self.progress.append((iteration, epoch))


def test_data_sets_are_told_how_far_training_is():
    leaf, deep = RandomNumbers(), Told()
    beside = Told(dataset=deep)
    dataset = SeededDataset(Told(datasets=[leaf, beside]))
    dataset[Draw(1, 7, 30, 4)]
    dataset[2, 7]
    for told in (deep, beside, dataset.dataset):
        assert told.progress == [(30, 4), (None, None)]


def test_global_generators_are_put_back():
    dataset = SeededDataset(RandomNumbers())
    draws = []
    for touch in (False, True):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        if touch:
            dataset[0, 3]
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1]


def test_random_numbers_of_a_gpu_are_left_alone(monkeypatch):
    """Without workers an image is prepared in the process that trains; nothing would put the GPU's back."""
    for name in ("manual_seed", "manual_seed_all", "seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *args: pytest.fail("a GPU's generator was seeded"))
    with pytest.raises(pytest.fail.Exception):
        torch.manual_seed(3)
    dataset = SeededDataset(RandomNumbers())
    assert dataset[0, 3] == dataset[Draw(0, 3)]


class Images(list):
    metainfo = {"classes": ("a",)}

    def __init__(self, *names, rule="skip"):
        super().__init__({"img_id": name} for name in names)
        self.on_bad_image, self.get_data_info = rule, self.__getitem__


def test_other_images_are_told_by_their_names():
    """Processes compare it: one that could not read a file has others, or fewer."""
    both = images_of(Images("a", "b"))
    assert both[0] == 2
    assert images_of(SeededDataset(Images("a", "b"))) == both
    assert both not in (images_of(Images("a", "c")), images_of(Images("a")))
    assert images_of(Images("a", "b", rule="error")) == (2, 0)
