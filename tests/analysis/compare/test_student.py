"""Against tables of Student's distribution: Abramowitz and Stegun, table 26.10, and R's power.t.test."""

import math
from statistics import NormalDist

import pytest

from rdet.analysis.compare.student import pairs_needed, power_of, quantile, two_sided_p

TABLE = {
    0.975: {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042, 120: 1.980},
    0.995: {1: 63.657, 2: 9.925, 4: 4.604, 7: 3.499, 60: 2.660},
    0.8: {1: 1.376, 2: 1.061, 6: 0.906, 29: 0.854},
}


@pytest.mark.parametrize("probability", TABLE)
def test_quantiles(probability):
    for freedom, value in TABLE[probability].items():
        assert quantile(probability, freedom) == pytest.approx(value, abs=5.1e-4)


def test_p_of_one_and_two_degrees_have_closed_forms():
    for t in (0.1, 1.0, 3.7, 40.0):
        assert two_sided_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-9)
        assert two_sided_p(-t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-9)
    assert two_sided_p(0, 5) == 1
    assert two_sided_p(1.96, 5000) == pytest.approx(2 * (1 - NormalDist().cdf(1.96)), abs=1e-4)


def test_quantile_and_p_are_inverse():
    for freedom in (1, 2, 3, 8, 41):
        assert two_sided_p(quantile(0.99, freedom), freedom) == pytest.approx(0.02, rel=1e-9)


@pytest.mark.parametrize("pairs", [2, 3, 9, 60])
def test_power_is_what_the_noncentral_t_distribution_says(pairs):
    integrate, stats = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy.stats")
    for effect in (0.0, 0.4, 2.0):
        for alpha in (0.05, 0.05 / 19):
            critical, shift, freedom = stats.t.ppf(1 - alpha / 2, pairs - 1), effect * pairs**0.5, pairs - 1
            chi = stats.chi(freedom, scale=freedom**-0.5)

            def found(s, c=critical, shift=shift, chi=chi):
                return chi.pdf(s) * (stats.norm.sf(c * s - shift) + stats.norm.cdf(-c * s - shift))

            expected = integrate.quad(found, 0, 8, limit=500, points=[0.01, 0.1, 0.5, 1, 2])[0]
            assert power_of(pairs, effect, alpha) == pytest.approx(expected, abs=2e-5)
    assert power_of(pairs, 0.0) == pytest.approx(0.05, abs=2e-5)


def test_pairs_needed():
    # R: power.t.test(delta=1, sd=1, power=.8, type="paired") says 9.94.
    assert pairs_needed(1.0, 1.0) == 10
    assert pairs_needed(1.0, 0.5) == 34  # R: 33.4
    assert pairs_needed(0.01, 0.005) == 34  # the unit does not matter
    assert pairs_needed(1.0, 0.1) == 787  # R: 786.8
    assert pairs_needed(0.0, 0.01) == 2
    assert pairs_needed(1.0, 1.0, alpha=0.01) > pairs_needed(1.0, 1.0)
    assert pairs_needed(1.0, 0.01) == 78489  # of the normal distribution
