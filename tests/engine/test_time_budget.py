"""How many steps fit into a time, by a clock that the test moves."""

import pytest

from rdet.engine.time_budget import TimeBudget


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(seconds, step, evaluation=0.0, points=4, relative=0.0, budget=None, first=None, stop=None):
    """Train by the plan; ``step`` gives the seconds of a step by its number. Return budget, steps, evaluations."""
    clock = Clock()
    budget = budget or TimeBudget(seconds, points, clock, steps_of_evaluation=relative)
    budget.clock = clock
    iteration, end = first or (0, 10**9)
    evaluated, begun = [], clock.now
    budget.begin(iteration)
    while iteration < end and iteration != stop:
        if budget.is_due(iteration):
            found = budget.plan(iteration)
            budget.follow(iteration, found)
            end = found or end
        is_point = budget.take_step(iteration, end)
        clock.now += step(iteration)
        iteration += 1
        if is_point and relative and (iteration == end or budget.affords_evaluation()):
            evaluated.append((iteration, budget.progress))
            clock.now += evaluation
            budget.note_evaluation(evaluation, iteration)
    return budget, iteration, clock.now - begun, evaluated, end


def test_steps_fill_the_time_and_the_first_one_may_be_slow():
    budget, steps, taken, evaluated, _ = run(600, lambda i: 30.0 if i == 0 else 1.0)
    assert (steps, evaluated) == (571, [])
    assert taken == pytest.approx(600, abs=1)
    assert budget.progress == pytest.approx(1.0)


def test_evaluations_are_part_of_the_time_and_lie_at_equal_shares_of_the_steps():
    _, steps, taken, evaluated, _ = run(600, lambda i: 0.5, evaluation=20, relative=8)
    assert taken == pytest.approx(600, abs=1)
    assert steps == pytest.approx((600 - 4 * 20) / 0.5, abs=2)
    assert [iteration / steps for iteration, _ in evaluated] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.04)
    assert evaluated[-1] == (steps, pytest.approx(1.0))


@pytest.mark.parametrize("relative", [1e-3, 1.0, 90.0])
def test_evaluations_that_cost_much_are_left_out_but_not_the_last(relative):
    """Of 100 s, 20 are for evaluations: two of 9 s; whatever they were first taken to cost, time is kept."""
    _, steps, taken, evaluated, _ = run(100, lambda i: 0.1, evaluation=9, relative=relative)
    assert evaluated[-1][0] == steps
    assert 1 <= len(evaluated) <= 2
    assert taken == pytest.approx(100, abs=1)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_machine_that_becomes_faster_or_slower_moves_the_end(factor):
    _, steps, taken, _, _ = run(300, lambda i: 1.0 if i < 150 else factor)
    assert taken == pytest.approx(300, rel=0.02)
    assert steps == pytest.approx(150 + 150 / factor, rel=0.02)


def test_a_resumed_run_has_the_time_that_is_left():
    clock = Clock()
    budget, steps, taken, _, end = run(200, lambda i: 1.0, stop=80)
    assert (steps, taken) == (80, 80.0)
    state = {key: getattr(budget, key) for key in ("step", "evaluation", "evaluated", "progress")}
    again = TimeBudget(200, 4, clock, spent=budget.elapsed, **state)
    _, steps, taken, _, _ = run(200, lambda i: 1.0, budget=again, first=(80, end))
    assert steps == pytest.approx(200, abs=1)
    assert taken == pytest.approx(120, abs=1)
    assert again.progress == pytest.approx(1.0)


def test_a_time_too_short_for_a_plan_still_ends():
    _, steps, _, evaluated, _ = run(1, lambda i: 10.0, evaluation=5, relative=3)
    assert steps == 7  # those that are measured, and one
    assert [iteration for iteration, _ in evaluated] == [7]


def test_an_evaluation_that_is_taken_to_last_longer_than_the_run_leaves_half_of_it_for_steps():
    _, _, taken, evaluated, _ = run(100, lambda i: 0.1, evaluation=9, relative=1e4)
    assert len(evaluated) == 1
    assert taken == pytest.approx(50 + 9, abs=1)
