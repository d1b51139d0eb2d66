"""The schedule follows from the number of images and the size of a batch."""

import pytest

from rdet.apis.own_data.schedule import Schedule


@pytest.mark.parametrize(
    ("images", "batch_size", "epochs", "expected"),
    [
        (200, 4, None, Schedule(40, 50, 200, (27, 37), 4)),
        (850, 4, None, Schedule(12, 213, 255, (8, 11), 1)),
        (117_266, 16, None, Schedule(12, 7330, 500, (8, 11), 1)),
        (10, 4, None, Schedule(200, 3, 60, (133, 183), 20)),
        (1, 1, None, Schedule(200, 1, 20, (133, 183), 20)),
        (200, 4, 1, Schedule(1, 50, 5, (), 1)),
        (200, 4, 2, Schedule(2, 50, 10, (1,), 1)),
        (3, 4, 1, Schedule(1, 1, 0, (), 1)),
        (40, 4, 1, Schedule(1, 10, 0, (), 1)),  # a warm-up of one step would never end
    ],
)
def test_numbers(images, batch_size, epochs, expected):
    assert Schedule.of(images, batch_size, epochs) == expected


@pytest.mark.parametrize("images", [1, 7, 100, 5000, 10**6])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("epochs", [None, 1, 3, 50])
def test_what_must_fit_together_does(images, batch_size, epochs):
    schedule = Schedule.of(images, batch_size, epochs)
    assert schedule.epochs == epochs or epochs is None
    assert 0 <= schedule.warmup <= schedule.steps / 10
    assert schedule.warmup != 1
    assert all(0 < milestone < schedule.epochs for milestone in schedule.milestones)
    assert list(schedule.milestones) == sorted(set(schedule.milestones))
    assert 1 <= schedule.interval <= schedule.epochs
    assert schedule.iterations * batch_size >= images > (schedule.iterations - 1) * batch_size


def test_a_small_set_gets_2000_steps():
    for images in (40, 100, 300, 600):
        assert 2000 <= Schedule.of(images, 4).steps < 2000 + images / 4


def test_description():
    assert Schedule.of(200, 4).describe() == (
        "40 epochs of 50 iterations, 2000 in all; warm-up 200 iterations, the rate / 10 after 27 and 37; evaluation "
        "and checkpoint after every 4 epochs"
    )
    assert "1 epoch of 50 iterations, 50 in all; warm-up 5 iterations; " in Schedule.of(200, 4, 1).describe()
