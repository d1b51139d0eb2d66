"""How much each detector of a comparison differs from the base, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev
from typing import Any

from rdet.analysis.compare.row import Row
from rdet.analysis.compare.student import pairs_needed, quantile, two_sided_p

ALPHA = 0.05
POWER = 0.8
LEAST_SEEDS = 2  # for any interval


@dataclass(frozen=True)
class Difference:
    """A detector minus the base, over the seeds with which both were trained.

    Attributes:
        seeds: These seeds.
        mean: Mean of the differences.
        spread: Their standard deviation; None with fewer than two seeds, as what follows.
        interval: Where the true mean lies with 95 % confidence, by Student's t, this detector taken for itself.
        p: Of the two-sided paired t test.
        adjusted: p after Holm's correction for all detectors of the comparison.
        needed: How many seeds would find a difference of the size asked for.
    """

    seeds: tuple[int, ...]
    mean: float
    spread: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted: float | None = None
    needed: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the detectors differ, as far as this comparison can say."""
        return self.adjusted is not None and self.adjusted < ALPHA

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as json has them."""
        return asdict(self)


def differences(rows: Sequence[Row], metric: str = "AP", size: float = 0.01) -> list[Difference | None]:
    """Compare each row with the first, seed by seed.

    Args:
        rows: Of a comparison; the first is the base.
        metric: ``AP``, ``AP50`` or ``AP75``.
        size: The difference for which needed seeds are counted: with a probability of 80 % it is to be found, at 5 % of
            false findings, divided by the number of detectors.

    Returns:
        One for each row; None for the base, and for a row without a seed in common with it.
    """
    base = rows[0].values(metric)
    found = [None, *(_of_pairs(base, row.values(metric)) for row in rows[1:])]
    tested = {place: one for place, one in enumerate(found) if one is not None and one.p is not None}
    adjusted = holm([one.p or 0.0 for one in tested.values()])
    for (place, one), p in zip(tested.items(), adjusted, strict=True):
        # Holm's first and hardest step is this share of the 5 %.
        needed = pairs_needed(one.spread or 0.0, size, ALPHA / len(tested), POWER)
        found[place] = replace(one, adjusted=p, needed=needed)
    return found


def pooled_spread(found: Sequence[Difference | None]) -> float | None:
    """Return the standard deviation of the differences within pairs, over all detectors; None: it is not known."""
    known = [(one.spread, len(one.seeds) - 1) for one in found if one is not None and one.spread is not None]
    if not known:
        return None
    return math.sqrt(sum(spread**2 * freedom for spread, freedom in known) / sum(freedom for _, freedom in known))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of several tests so that the chance of any false finding stays what it is for one.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _of_pairs(base: dict[int, float], other: dict[int, float]) -> Difference | None:
    seeds = tuple(seed for seed in base if seed in other)
    if not seeds:
        return None
    values = [other[seed] - base[seed] for seed in seeds]
    mean = fmean(values)
    if len(seeds) < LEAST_SEEDS:
        return Difference(seeds, mean)
    spread, freedom = stdev(values), len(seeds) - 1
    error = spread / math.sqrt(len(seeds))
    half = quantile(1 - ALPHA / 2, freedom) * error
    p = two_sided_p(mean / error, freedom) if error else float(mean == 0)
    return Difference(seeds, mean, spread, (mean - half, mean + half), p)
