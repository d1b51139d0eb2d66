"""Student's t distribution with a whole number of degrees of freedom.

The standard library has the normal distribution alone; these sums and the integral need no package.
"""

import math
from statistics import NormalDist

_BISECTIONS = 200
_STEPS, _REACH = 400, 9.0  # of an integral, and how many deviations it reaches
_NORMAL = NormalDist()


def two_sided_p(t: float, freedom: int) -> float:
    """Return the probability that \\|T\\| is greater than \\|t\\|.

    By the finite sums 26.7.3 and 26.7.4 of Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964.

    Args:
        t: The statistic.
        freedom: Degrees of freedom, 1 or more.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return min(1.0, max(0.0, 1 - inside))


def quantile(probability: float, freedom: int) -> float:
    """Return the t below which T is with a probability from 0.5 to less than 1.

    Args:
        probability: Of one side.
        freedom: Degrees of freedom, 1 or more.
    """
    outside = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > outside:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, freedom) > outside else (low, middle)
    return high


def power_of(pairs: int, effect: float, alpha: float = 0.05) -> float:
    """Return the probability that a paired t test of both sides finds a difference: noncentral t, integrated.

    Given the spread that is seen, as a multiple of the true one, the mean is normal; Simpson's rule over that spread.

    Args:
        pairs: How many, 2 or more.
        effect: The difference divided by the standard deviation of the differences within the pairs.
        alpha: Probability of finding one where there is none, of both sides.
    """
    freedom = pairs - 1
    critical, shift = quantile(1 - alpha / 2, freedom), abs(effect) * math.sqrt(pairs)
    reach = _REACH / math.sqrt(2 * freedom)
    low, high = max(0.0, 1 - reach), 1 + reach
    constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    total = 0.0
    for number in range(_STEPS + 1):
        place = number / _STEPS
        seen = max(low + (high - low) * place**3, 1e-300)  # in small steps where it is small: two pairs need them
        density = math.exp(constant + (freedom - 1) * math.log(seen) - freedom * seen**2 / 2)
        found = _NORMAL.cdf(shift - critical * seen) + _NORMAL.cdf(-shift - critical * seen)
        total += density * found * 3 * place**2 * (1 if number in (0, _STEPS) else 4 if number % 2 else 2)
    return total * (high - low) / (3 * _STEPS)


def pairs_needed(spread: float, difference: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many pairs a paired t test needs to find a difference.

    Args:
        spread: Standard deviation of the differences within the pairs.
        difference: The true one, in the same unit.
        alpha: Probability of finding one where there is none, of both sides.
        power: Probability of finding it.

    Returns:
        2 or more.
    """
    if not spread:
        return 2
    effect = difference / spread
    number = max(2, math.ceil(((_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) / effect) ** 2))
    # Of so many pairs, t is the normal distribution; it needs fewer pairs than t, so the search goes up.
    while number < 1000 and power_of(number, effect, alpha) < power:
        number += 1
    return number
