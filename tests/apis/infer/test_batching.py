"""Batches of one size from a stream of mixed ones: each value once, in its order, and few that wait."""

import random

import pytest

from rdet.apis.infer.batches import Batches


@pytest.mark.parametrize(("size", "kinds"), [(1, 3), (4, 1), (4, 3), (3, 50)])
def test_order_is_kept_and_batches_are_of_one_kind(size, kinds):
    rng = random.Random(size * kinds)
    values = [(i, rng.randrange(kinds)) for i in range(101)]
    batches, given = [], 0

    def run(batch):
        assert len({kind for _, kind in batch}) == 1
        batches.append(len(batch))
        return [-number for number, _ in batch]

    def stream():
        nonlocal given
        for value in values:
            given += 1
            yield value

    done = []
    for value, result in Batches(run, lambda value: value[1], size)(stream()):
        done.append((value, result))
        assert given - len(done) < 4 * size + 1  # what waits
    assert done == [(value, -value[0]) for value in values]
    assert sum(batches) == len(values)
    assert max(batches) <= size
    if kinds < 4 < size + 1:
        assert sum(batches) / len(batches) > 0.8 * size


def test_a_value_of_no_kind_goes_alone():
    batches = []
    values = [1, None, 1, None, 1]
    done = list(Batches(lambda batch: batches.append(list(batch)) or batch, lambda value: value, 3)(values))
    assert [value for value, _ in done] == values
    assert sorted(map(len, batches)) == [1, 1, 3]


def test_no_value_gives_no_batch():
    assert list(Batches(lambda batch: pytest.fail("it runs"), lambda value: value, 3)([])) == []
