"""The paired t test and Holm's correction, against numbers worked out by hand."""

import math

import pytest

from rdet.analysis.compare.difference import differences, holm, pooled_spread
from rdet.analysis.compare.row import Row


def row(name, *values, metric="AP", seeds=None):
    seeds = seeds or range(len(values))
    others = {"AP": 0.0, "AP50": 0.0, "AP75": 0.0}
    return Row(name, [], {seed: {**others, metric: value} for seed, value in zip(seeds, values, strict=True)})


def test_paired_t_test():
    base, other = row("base", 0.50, 0.51, 0.52, 0.52), row("x", 0.52, 0.55, 0.53, 0.56)
    nothing, found = differences([base, other])
    assert nothing is None
    assert found.mean == pytest.approx(0.0275)
    assert found.spread == pytest.approx(0.015)
    t = 0.0275 / (0.015 / 2)
    assert found.interval == pytest.approx((0.0275 - 3.18245 * 0.0075, 0.0275 + 3.18245 * 0.0075), abs=1e-6)
    # With three degrees of freedom: 1 - 2 / pi (a + sin a cos a), tan a = t / sqrt 3.
    angle = math.atan(t / math.sqrt(3))
    assert found.p == pytest.approx(1 - 2 / math.pi * (angle + math.sin(angle) * math.cos(angle)))
    assert found.adjusted == found.p == pytest.approx(0.0351, abs=1e-4)
    assert found.is_shown


def test_pairing_takes_out_what_seeds_share():
    base, other = row("base", 0.1, 0.5, 0.9), row("x", 0.111, 0.510, 0.909)
    (_, found) = differences([base, other])
    assert found.spread == pytest.approx(0.001)
    assert found.is_shown


def test_only_seeds_that_both_have():
    base, other = row("base", 0.5, 0.6, 0.7), row("x", 0.8, 0.9, seeds=[2, 1])
    base.seeds[0] = {"failed": "no memory"}
    (_, found) = differences([base, other])
    assert found.seeds == (1, 2)
    assert found.mean == pytest.approx(0.2)
    assert differences([base, row("y", 0.5, seeds=[7])]) == [None, None]


def test_one_seed_has_no_interval():
    (_, found) = differences([row("base", 0.5), row("x", 0.6)])
    assert (found.mean, found.interval, found.p, found.needed) == (pytest.approx(0.1), None, None, None)
    assert not found.is_shown


def test_seeds_that_all_agree():
    base, same, better = row("base", 0.5, 0.5), row("x", 0.5, 0.5), row("y", 0.75, 0.75)
    _, equal, above = differences([base, same, better])
    assert (equal.p, equal.interval, equal.needed) == (1.0, (0.0, 0.0), 2)
    assert (above.p, above.interval, above.adjusted) == (0.0, (0.25, 0.25), 0.0)


def test_another_metric():
    _, found = differences([row("base", 0.5, metric="AP50"), row("x", 0.7, metric="AP50")], "AP50")
    assert found.mean == pytest.approx(0.2)


def test_holm():
    # The example of R's p.adjust(c(.01, .02, .03, .04), "holm"), in another order.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_more_comparisons_need_more_seeds():
    rows = [row("base", 0.5, 0.5), row("x", 0.51, 0.53), row("y", 0.52, 0.51)]
    alone, together = differences(rows[:2])[1], differences(rows)[1]
    assert together.p == alone.p < together.adjusted
    assert together.needed > alone.needed
    assert differences(rows, size=0.005)[1].needed > together.needed
    assert pooled_spread(differences(rows)) == pytest.approx(math.sqrt((0.02**2 / 2 + 0.01**2 / 2) / 2))
    assert pooled_spread([None]) is None
