"""Student's t distribution with a whole number of degrees of freedom.

The standard library has the normal distribution alone; these sums are exact, so that no package is needed for them.
"""

import math
from statistics import NormalDist

_BISECTIONS = 200


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


def pairs_needed(spread: float, difference: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many pairs a paired t test needs to find a difference.

    The smallest n with n >= (s / d)^2 (t(1 - alpha / 2, n - 1) + t(power, n - 1))^2: Zar, "Biostatistical Analysis",
    5th edition, equation 7.10.

    Args:
        spread: Standard deviation s of the differences within the pairs.
        difference: The true one, d, in the same unit.
        alpha: Probability of finding one where there is none, of both sides.
        power: Probability of finding it.

    Returns:
        2 or more.
    """
    ratio = (spread / difference) ** 2
    normal = NormalDist()
    number = max(2, math.ceil(ratio * (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) ** 2))
    # Of so many pairs, t is the normal distribution; it needs fewer pairs than t, so the search goes up.
    while number < 1000:
        if number >= ratio * (quantile(1 - alpha / 2, number - 1) + quantile(power, number - 1)) ** 2:
            break
        number += 1
    return number
