"""A run leaves no worker of its data loaders behind, and does not wait for one that was never told to end."""

import gc
import math
import operator
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest
import torch

from rdet.engine.loader import Collate, Loader
from rdet.engine.runner import _begin_worker
from rdet.errors import ConfigError

WORKERS = {"train_dataloader__num_workers": 2, "val_dataloader__num_workers": 1, "train_cfg__val_interval": 3}
PERSISTENT = {"train_dataloader__persistent_workers": True, "val_dataloader__persistent_workers": True}


@pytest.mark.parametrize("persistent", [{}, PERSISTENT], ids=["", "persistent"])
def test_workers_end_with_the_run(make_runner, persistent):
    runner = make_runner(**WORKERS, **persistent)
    runner.train()
    assert active_children() == []
    start = time.perf_counter()
    del runner
    gc.collect()
    assert time.perf_counter() - start < 4  # torch waits five seconds for a worker that does not know of the end


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_workers_end_with_a_run_that_is_cut_off(make_runner, error):
    runner = make_runner(**WORKERS, **PERSISTENT)
    train_step = runner.model.train_step

    def fail_after_an_evaluation(*args, **kwargs):
        if runner.iter == 4:
            assert len(active_children()) == 3
            raise error
        return train_step(*args, **kwargs)

    runner.model.train_step = fail_after_an_evaluation
    with pytest.raises(error) as caught:
        runner.train()
    assert active_children() == []  # although the traceback still holds the iterators
    del caught


def test_a_loader_whose_workers_ended_starts_new_ones():
    loader = Loader([1, 2, 3], num_workers=1, persistent_workers=True)
    for _ in range(2):
        assert [int(number) for number in loader] == [1, 2, 3]
        assert len(active_children()) == 1
        loader.end_workers()
        assert active_children() == []
    loader.end_workers()
    without = Loader([1, 2, 3])
    assert [int(number) for number in without] == [1, 2, 3]
    without.end_workers()


def test_workers_end_with_an_iterator_that_is_freed_in_a_cycle():
    """The collector frees its queues before it, so that torch could not tell them."""
    iterator = iter(Loader(list(range(100)), num_workers=1, worker_init_fn=_begin_worker))
    next(iterator)
    (worker,) = iterator._workers
    iterator.itself = iterator
    del iterator
    start = time.perf_counter()
    gc.collect()
    assert time.perf_counter() - start < 4
    assert not worker.is_alive()


LEFT_OPEN = """
from rdet.engine.loader import Loader
from rdet.engine.runner import _begin_worker

batches = iter(Loader(list(range(100)), num_workers=1, worker_init_fn=_begin_worker))
print(int(next(batches)))
"""


def test_a_program_that_leaves_a_loader_open_ends():
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_a_worker_that_is_stuck_is_killed(monkeypatch):
    """It hears neither that it is to end nor SIGTERM; torch waits for it twice, which is shortened here."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    loader = Loader([0], num_workers=1, collate_fn=never, worker_init_fn=_begin_worker)
    iterator = iter(loader)
    (worker,) = iterator._workers
    time.sleep(0.2)  # until it ignores SIGTERM
    loader.end_workers()
    worker.join(10)
    assert not worker.is_alive()


def never(samples):
    time.sleep(1000)


def collate_with_a_bug(samples):
    return samples["inputs"]


@pytest.mark.parametrize("function", [math.floor, torch.stack, len, operator.itemgetter("inputs")])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_that_makes_no_batch_is_named(function, workers):
    loader = Loader([{"inputs": 1}] * 2, batch_size=2, num_workers=workers, collate_fn=Collate(function))
    if function is len:
        assert list(loader) == [2]
        return
    with pytest.raises(ConfigError, match=r"collate_fn: [\w.]+ makes no batch of the samples \(TypeError: .*\); leave"):
        list(loader)


def test_a_bug_in_a_function_of_the_user_keeps_its_traceback():
    with pytest.raises(TypeError, match="list indices"):
        list(Loader([{"inputs": 1}], collate_fn=Collate(collate_with_a_bug)))
