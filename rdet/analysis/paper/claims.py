"""What the paper claims, held against the small trainings."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, variance

import numpy as np

SEEN, NOT_SEEN, UNTOLD = "seen", "not seen", "could not be told at this scale"
# Two-sided 95 % points of Student's t for 1, 2 ... degrees of freedom; more than these count as the last.
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
# AP in percent below which a detector has failed to learn, and is neither better nor worse than another that has.
FLOOR = 5.0
# AP in percent by which FL* may be behind the focal loss (Figure 7's caption: 33.5 beside 34.0).
AS_GOOD = 0.5
# "Nearly all" of the negatives' loss, and the "few percent" that hold it (Figure 4).
NEARLY_ALL, FEW_PERCENT = 0.9, 5


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: In the paper's sense.
        verdict: ``SEEN``, ``NOT_SEEN`` or ``UNTOLD``.
        why: The numbers behind it.
    """

    claim: str
    verdict: str
    why: str


class Measured:
    """AP of rows with their uncertainty.

    Rows differ much in how they vary between seeds, so each has its own variance (Welch, "The
    generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 1947).

    Args:
        aps: Row -> AP in percent with each seed. Of one seed nothing can be told.
    """

    def __init__(self, aps: dict[str, Sequence[float]]):
        self.aps = {row: list(values) for row, values in aps.items() if values}

    def mean(self, row: str) -> float:
        """Average the AP of a row over the seeds."""
        return fmean(self.aps[row])

    def best(self, rows: Sequence[str]) -> str:
        """Return the row of the highest mean."""
        return max(rows, key=self.mean)

    def contrast(self, weights: dict[str, float]) -> tuple[float, float]:
        """Return the weighted sum of rows' AP and half of its 95 % confidence interval; infinite if a row has one seed.

        Rows whose APs are the same with every seed are one training: it varies once, with their joint weight.
        """
        trainings: dict[tuple[float, ...], float] = {}
        for row, weight in weights.items():
            aps = tuple(self.aps[row])
            trainings[aps] = trainings.get(aps, 0) + weight
        value = sum(weight * fmean(aps) for aps, weight in trainings.items())
        if any(len(aps) < 2 for aps in trainings):
            return value, math.inf
        parts = [(weight**2 * variance(aps) / len(aps), len(aps) - 1) for aps, weight in trainings.items()]
        total = sum(part for part, _ in parts)
        if total == 0:
            return value, 0.0
        freedom = total**2 / sum(part**2 / own for part, own in parts)  # Welch and Satterthwaite's
        return value, _T_95[min(int(freedom + 1e-9), len(_T_95)) - 1] * math.sqrt(total)

    def better(self, better: str, worse: str) -> tuple[str, str]:
        """Judge whether a row is better than another, and say the numbers."""
        if better == worse:
            return UNTOLD, f"{self.mean(better):.1f}"
        difference, error = self.contrast({better: 1, worse: -1})
        numbers = f"{self.mean(better):.1f} against {self.mean(worse):.1f} (difference {difference:+.1f} ± {error:.1f})"
        if self.mean(better) < FLOOR and self.mean(worse) < FLOOR:
            return UNTOLD, f"{numbers}; neither learned"
        return _sign(difference, error), numbers


def _sign(value: float, error: float) -> str:
    """Judge whether a value is above 0; ``error`` is half of its confidence interval."""
    if abs(value) <= error:
        return UNTOLD
    return SEEN if value > 0 else NOT_SEEN


def _all_of(results: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the worst verdict of several, and all numbers."""
    order = (NOT_SEEN, UNTOLD, SEEN)
    return min((verdict for verdict, _ in results), key=order.index), "; ".join(text for _, text in results)


PRIOR, NO_PRIOR, HINGE = "section_5_1/prior", "section_5_1/no_prior", "section_5_1/hinge"
CE = [f"table_1a/alpha_{alpha}" for alpha in ("10", "25", "50", "75", "90", "99", "999")]
GAMMAS = {gamma: f"table_1b/gamma_{f'{gamma:g}'.replace('.', '_')}" for gamma in (0, 0.1, 0.2, 0.5, 1, 2, 5)}
FL = GAMMAS[2]
SWEEP = {
    0: dict(zip((0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999), CE, strict=True)),
    0.5: {0.25: "alpha_sweep/gamma_0_5_alpha_25", 0.5: GAMMAS[0.5], 0.75: "alpha_sweep/gamma_0_5_alpha_75"},
    **{
        gamma: {
            0.1: f"alpha_sweep/gamma_{gamma}_alpha_10",
            0.25: GAMMAS[gamma],
            0.5: f"alpha_sweep/gamma_{gamma}_alpha_50",
            0.75: f"alpha_sweep/gamma_{gamma}_alpha_75",
        }
        for gamma in (2, 5)
    },
}
OHEM = [f"table_1d/ohem_{size}_nms_5" for size in (128, 256, 512)]
OHEM_7 = [f"table_1d/ohem_{size}_nms_7" for size in (128, 256, 512)]
OHEM_1_3 = [f"table_1d/ohem_1_3_{size}_nms_5" for size in (128, 256, 512)]
STARS = ["table_3/fl_star_2_1", "table_3/fl_star_4_0"]
ANCHORS = {
    scales * ratios: f"table_1c/scales_{scales}_ratios_{ratios}" for scales, ratios in ((1, 1), (2, 3), (3, 3), (4, 3))
}


def _fails(m: Measured, failing: str, healthy: str) -> tuple[str, str]:
    """Judge whether no seed of the failing row learns, and every seed of its healthy twin does."""
    text = f"{m.mean(failing):.1f} against {m.mean(healthy):.1f}; failed is below {FLOOR:g}"
    if min(m.aps[healthy]) < FLOOR:
        return UNTOLD, f"{text}: the other did not always learn either"
    failed = [ap < FLOOR for ap in m.aps[failing]]
    return (SEEN if all(failed) else UNTOLD if any(failed) else NOT_SEEN), text


def _alpha_75_is_best(m: Measured) -> tuple[str, str]:
    """Judge whether alpha .75 is better than each of the others."""
    of_75 = CE[3]
    others = [m.better(of_75, row)[0] for row in CE if row != of_75]
    best = m.best(CE)
    text = f"best: .{best.removeprefix('table_1a/alpha_')} with {m.mean(best):.1f}; .75 has {m.mean(of_75):.1f}"
    return _all_of([(verdict, "") for verdict in others])[0], text


def _gamma_2_is_a_broad_optimum(m: Measured) -> tuple[str, str]:
    """Judge whether the best gamma is 1, 2 or 5, and whether 0.5, 1, 2 and 5 all beat the cross entropy.

    Each has the best alpha of those that were trained with it, several for 0, 0.5, 2 and 5, as each has the best one in
    the paper's Table 1b, which may be another one there.
    """
    rows = {gamma: m.best(list(SWEEP[gamma].values()) if gamma in SWEEP else [row]) for gamma, row in GAMMAS.items()}
    top = max(rows, key=lambda gamma: m.mean(rows[gamma]))
    verdict, text = m.better(rows[top], rows[2])
    if top not in (1, 2, 5):
        verdict = NOT_SEEN if verdict == SEEN else UNTOLD
    else:
        verdict = SEEN
    broad = [(gamma, *m.better(rows[gamma], rows[0])) for gamma in (0.5, 1, 2, 5)]
    return _all_of(
        [
            (verdict, f"best gamma {top:g}, to gamma 2: {text}"),
            *((told, f"gamma {gamma:g} to the cross entropy: {numbers}") for gamma, told, numbers in broad),
        ]
    )


def _best_alpha_falls(m: Measured) -> tuple[str, str]:
    """Judge whether the best alpha falls as gamma grows.

    What alpha .75 has over alpha .25 is less at gamma 2 than at gamma 0; the best alpha never rises beyond noise.
    """
    bests = {gamma: max(rows, key=lambda alpha, rows=rows: m.mean(rows[alpha])) for gamma, rows in SWEEP.items()}
    text = "best alpha " + ", ".join(f"{alpha:g} at gamma {gamma:g}" for gamma, alpha in bests.items())
    gain, error = m.contrast({SWEEP[0][0.75]: 1, SWEEP[0][0.25]: -1, SWEEP[2][0.75]: -1, SWEEP[2][0.25]: 1})
    text += f"; AP with .75 less that with .25 falls from gamma 0 to 2 by {gain:.1f} ± {error:.1f}"
    rises = [
        m.better(SWEEP[after][bests[after]], SWEEP[after][bests[before]])[0] == SEEN
        for before, after in pairwise(bests)
        if bests[after] > bests[before] and bests[before] in SWEEP[after]
    ]
    return (NOT_SEEN if any(rises) else _sign(gain, error)), text


def _anchors_saturate(m: Measured) -> tuple[str, str]:
    """Judge whether 6 anchors are better than one, 9 gain nothing over 6, and 12 nothing over 9.

    Nothing is a difference that may be 0, and is certainly less than a quarter of the gain from one to six.
    """
    results = [m.better(ANCHORS[6], ANCHORS[1])]
    enough = (m.mean(ANCHORS[6]) - m.mean(ANCHORS[1])) / 4
    for few, many in ((6, 9), (9, 12)):
        gain, error = m.contrast({ANCHORS[many]: 1, ANCHORS[few]: -1})
        verdict = NOT_SEEN if gain > error else SEEN if gain + error < enough else UNTOLD
        results.append((verdict, f"{few} to {many}: {gain:+.1f} ± {error:.1f}"))
    numbers = ", ".join(f"{count}: {m.mean(row):.1f}" for count, row in ANCHORS.items())
    verdict, text = _all_of(results)
    return verdict, f"anchors {numbers}; {text}"


def _beats_ohem(m: Measured) -> tuple[str, str]:
    """Judge whether the focal loss beats the best of OHEM's rows, 1:3 among them, as the caption of Table 1d says."""
    best = m.best([*OHEM, *OHEM_7, *OHEM_1_3])
    verdict, text = m.better("table_1d/focal_loss", best)
    return verdict, f"the best is {best.removeprefix('table_1d/')}: {text}"


def _ohem_beats_1_3(m: Measured) -> tuple[str, str]:
    """Judge whether OHEM is better on average over the three sizes of the minibatch, both with the same suppression."""
    difference, error = m.contrast({**dict.fromkeys(OHEM, 1 / 3), **dict.fromkeys(OHEM_1_3, -1 / 3)})
    sides = [fmean(m.mean(row) for row in rows) for rows in (OHEM, OHEM_1_3)]
    return _sign(
        difference, error
    ), f"{sides[0]:.1f} against {sides[1]:.1f} (difference {difference:+.1f} ± {error:.1f})"


def _star_is_as_good(m: Measured) -> tuple[str, str]:
    """Judge whether both settings are at most half a point behind the focal loss, Figure 7's limit of good ones."""
    results = []
    for row in STARS:
        behind, error = m.contrast({FL: 1, row: -1})
        verdict = NOT_SEEN if behind - error > AS_GOOD else SEEN if behind + error <= AS_GOOD else UNTOLD
        results.append(
            (verdict, f"{row.removeprefix('table_3/')} {m.mean(row):.1f}, behind by {behind:.1f} ± {error:.1f}")
        )
    verdict, numbers = _all_of(results)
    return verdict, f"FL {m.mean(FL):.1f}; {numbers}"


_FIGURE_4 = "with gamma = 2 the hardest few percent of the negatives hold nearly all of their loss"
# Claim, rows that it needs, how it is judged.
_CLAIMS: tuple[tuple[str, list[str], Callable[[Measured], tuple[str, str]]], ...] = (
    (
        "without the prior, training fails; with it, it learns",
        [NO_PRIOR, PRIOR],
        lambda m: _fails(m, NO_PRIOR, PRIOR),
    ),
    ("the hinge loss gives no meaningful result", [HINGE, PRIOR], lambda m: _fails(m, HINGE, PRIOR)),
    ("alpha = .10 fails", CE, lambda m: _fails(m, CE[0], m.best(CE))),
    ("alpha = .75 is best of the balanced cross entropies", CE, _alpha_75_is_best),
    ("the focal loss beats the best balanced cross entropy", [*CE, FL], lambda m: m.better(FL, m.best(CE))),
    (
        "its optimum about gamma = 2 is broad",
        [*GAMMAS.values(), *(row for rows in SWEEP.values() for row in rows.values())],
        _gamma_2_is_a_broad_optimum,
    ),
    (
        "the best alpha falls as gamma grows",
        [row for rows in SWEEP.values() for row in rows.values()],
        _best_alpha_falls,
    ),
    ("6 to 9 anchors saturate", list(ANCHORS.values()), _anchors_saturate),
    ("the focal loss beats OHEM", ["table_1d/focal_loss", *OHEM, *OHEM_7, *OHEM_1_3], _beats_ohem),
    ("OHEM beats OHEM 1:3", [*OHEM, *OHEM_1_3], _ohem_beats_1_3),
    ("FL* is as good as FL", [FL, *STARS], _star_is_as_good),
)


def judge(measured: Measured) -> list[Verdict]:
    """Judge every claim that can be judged by AP, in the paper's order; Figure 4 is judged from its numbers."""
    verdicts = []
    for claim, rows, judge_one in _CLAIMS:
        absent = [row for row in rows if row not in measured.aps]
        if absent:
            verdicts.append(Verdict(claim, UNTOLD, f"not trained: {', '.join(absent)}"))
        elif single := [row for row in rows if len(measured.aps[row]) < 2]:
            verdicts.append(Verdict(claim, UNTOLD, f"only one seed: {', '.join(single)}"))
        else:
            verdicts.append(Verdict(claim, *judge_one(measured)))
    return verdicts


def judge_figure_4(shares: dict[str, float] | None) -> Verdict:
    """Judge whether, with gamma 2, the hardest few percent of the negatives hold nearly all of their loss.

    Args:
        shares: gamma -> part of the negatives' loss that the hardest ``FEW_PERCENT`` of them hold; None if nobody has
            looked.
    """
    if shares is None:
        return Verdict(_FIGURE_4, UNTOLD, "no model of this setting was looked at: run 'tools/paper.py figures' first")
    numbers = ", ".join(f"gamma {gamma}: {100 * share:.1f} %" for gamma, share in shares.items())
    return Verdict(
        _FIGURE_4,
        SEEN if shares["2"] > NEARLY_ALL and shares["2"] > shares["0"] else NOT_SEEN,
        f"the hardest {FEW_PERCENT} % hold, with {numbers}",
    )


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Compute Spearman's, with mean ranks for ties; NaN if one of them has no two different values."""
    if len(set(a)) < 2 or len(set(b)) < 2:
        return math.nan
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    return below + (equal - 1) / 2
