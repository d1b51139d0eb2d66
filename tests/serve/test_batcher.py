"""Which images run together, and what becomes of those that nobody waits for."""

import threading
import time

import pytest
import torch

from rdet.apis.infer.shot import Shot
from rdet.serve.batching import Batcher, Job


def job(name: str, side: int = 8) -> Job:
    return Job(Shot(name, name, name, packed={"inputs": torch.zeros(3, side, side)}))


class Network:
    """Notes what runs together; each run waits for a pass."""

    def __init__(self, free=True):
        self.batches = []
        self.passes = threading.Semaphore(1000 if free else 0)
        self.begun = threading.Semaphore(0)

    def __call__(self, shots):
        self.begun.release()
        self.passes.acquire()
        self.batches.append([shot.name for shot in shots])
        if "bad" in self.batches[-1]:
            raise ValueError("of this image")
        return [shot.name.upper() for shot in shots]


def add(batcher, *jobs):
    batcher.expect(len(jobs))
    for one in jobs:
        batcher.add(one)


@pytest.fixture
def batcher(request):
    made = []

    def make(network, **options):
        made.append(Batcher(network, **{"max_batch": 3, "max_wait": 5.0, **options}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_waits_runs_together_up_to_the_size_of_a_batch(batcher):
    network = Network(free=False)
    batches = batcher(network, max_wait=0)
    first, *others = [job(name) for name in "abcde"]
    add(batches, first)
    network.begun.acquire()
    add(batches, *others)
    assert len(batches) == 4
    network.passes.release(9)
    assert [one.result.result(9) for one in (first, *others)] == ["A", "B", "C", "D", "E"]
    assert network.batches == [["a"], ["b", "c", "d"], ["e"]]


def test_images_of_other_sizes_do_not_run_together_and_keep_their_order(batcher):
    network = Network(free=False)
    batches = batcher(network, max_wait=0)
    jobs = [job("a"), job("b"), job("c", 16), job("d"), job("e", 16)]
    add(batches, jobs[0])
    network.begun.acquire()
    add(batches, *jobs[1:])
    network.passes.release(9)
    for one in jobs:
        assert one.result.result(9) == one.shot.name.upper()
    assert network.batches == [["a"], ["b", "d"], ["c", "e"]]


def test_of_large_images_fewer_run_together(batcher):
    network = Network(free=False)
    batches = batcher(network, max_wait=0)
    large = torch.zeros(1, 2000, 2000, dtype=torch.bool).expand(3, -1, -1)
    jobs = [Job(Shot(name, name, name, packed={"inputs": large})) for name in "abcd"]
    add(batches, jobs[0])
    network.begun.acquire()
    add(batches, *jobs[1:])
    network.passes.release(9)
    assert [one.result.result(9) for one in jobs] == ["A", "B", "C", "D"]
    assert network.batches == [["a"], ["b", "c"], ["d"]]


def test_one_alone_does_not_wait_but_where_others_come_it_does(batcher):
    batches = batcher(Network())
    begun = time.monotonic()
    alone = job("a")
    add(batches, alone)
    alone.result.result(4)
    assert time.monotonic() - begun < 4
    first, second = job("b"), job("c")
    batches.expect(2)
    batches.add(first)
    time.sleep(0.05)
    assert not first.result.done()
    batches.add(second)
    assert second.result.result(4) == "C"


def test_one_that_does_not_come_is_not_waited_for(batcher):
    batches = batcher(Network())
    one = job("a")
    batches.expect(2)
    batches.add(one)
    batches.expect(-1)
    assert one.result.result(4) == "A"


def test_what_was_cancelled_is_dropped(batcher):
    network = Network(free=False)
    batches = batcher(network)
    jobs = [job(name) for name in "abc"]
    add(batches, jobs[0])
    network.begun.acquire()
    add(batches, *jobs[1:])
    assert jobs[1].result.cancel()
    network.passes.release(9)
    assert jobs[2].result.result(9) == "C"
    assert network.batches == [["a"], ["c"]]


def test_an_image_that_fails_does_not_spoil_the_others(batcher):
    network = Network(free=False)
    batches = batcher(network, max_wait=0)
    jobs = [job(name) for name in ("a", "b", "bad", "c")]
    add(batches, jobs[0])
    network.begun.acquire()
    add(batches, *jobs[1:])
    network.passes.release(9)
    assert [jobs[i].result.result(9) for i in (0, 1, 3)] == ["A", "B", "C"]
    with pytest.raises(ValueError, match="of this image"):
        jobs[2].result.result(9)
    assert batches.works


def test_few_wait_prepared_and_closing_finishes_them():
    network = Network(free=False)
    batches = Batcher(network, max_batch=1, max_wait=0)
    jobs = [job(name) for name in "abcd"]
    adding = threading.Thread(target=add, args=(batches, *jobs))
    adding.start()
    network.begun.acquire()
    adding.join(0.05)
    assert adding.is_alive()  # one runs, two wait, the fourth has no room
    network.passes.release(9)
    adding.join(9)
    batches.close()
    assert [one.result.result(0) for one in jobs] == ["A", "B", "C", "D"]
    assert not batches.works
