"""Verdicts from made-up results whose verdict is plain."""

import math

import pytest

from rdet.analysis.paper.claims import (
    CE,
    NOT_SEEN,
    OHEM,
    OHEM_1_3,
    SEEN,
    SWEEP,
    UNTOLD,
    Measured,
    judge,
    judge_figure_4,
    rank_correlation,
)
from rdet.analysis.paper.rows import ROWS

PAPER = {row.config: row.paper.ap for row in ROWS if row.paper is not None and row.seeds}
# What the paper has no number for, in its sense.
PAPER |= {
    "section_5_1/no_prior": 0.0,
    "section_5_1/hinge": 1.0,
    "alpha_sweep/gamma_0_5_alpha_25": 31.0,
    "alpha_sweep/gamma_0_5_alpha_75": 32.5,
    "alpha_sweep/gamma_2_alpha_10": 32.0,
    "alpha_sweep/gamma_2_alpha_50": 33.6,
    "alpha_sweep/gamma_2_alpha_75": 32.0,
    "alpha_sweep/gamma_5_alpha_10": 30.0,
    "alpha_sweep/gamma_5_alpha_50": 31.0,
    "alpha_sweep/gamma_5_alpha_75": 29.0,
}


def verdicts(deviation=0.05, **changes):
    """Claim -> verdict, with three seeds of the paper's numbers and a deviation between seeds."""
    aps = PAPER | {key.replace("__", "/"): value for key, value in changes.items()}
    measured = Measured({row: [ap - deviation, ap, ap + deviation] for row, ap in aps.items()})
    return {v.claim: v.verdict for v in judge(measured)}


FAILURES = {
    "without the prior, training fails; with it, it learns",
    "the hinge loss gives no meaningful result",
    "alpha = .10 fails",
}


def test_the_papers_own_numbers_show_all_of_its_claims():
    found = verdicts()
    assert set(found.values()) == {SEEN}
    assert len(found) == 11


def test_nothing_can_be_told_of_noise():
    assert set(verdicts(deviation=30.0).values()) == {UNTOLD}


def test_nothing_can_be_told_if_no_cross_entropy_learned():
    """The focal loss is then better than something that had no time, which says nothing."""
    found = verdicts(section_5_1__prior=0.1, **{row.replace("/", "__"): 0.1 for row in CE})
    assert {found[claim] for claim in FAILURES} == {UNTOLD}
    assert found["alpha = .75 is best of the balanced cross entropies"] == UNTOLD


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        ("without the prior, training fails; with it, it learns", {"section_5_1__no_prior": 25.0}),
        ("alpha = .10 fails", {"table_1a__alpha_10": 20.0}),
        ("alpha = .75 is best of the balanced cross entropies", {"table_1a__alpha_99": 33.0}),
        ("the focal loss beats the best balanced cross entropy", {"table_1a__alpha_90": 35.0}),
        ("its optimum about gamma = 2 is broad", {"table_1b__gamma_0_1": 36.0}),
        ("its optimum about gamma = 2 is broad", {row.replace("/", "__"): 20.0 for row in SWEEP[5].values()}),
        ("the hinge loss gives no meaningful result", {"section_5_1__hinge": 12.0}),
        ("the best alpha falls as gamma grows", {"alpha_sweep__gamma_2_alpha_75": 60.0}),
        ("6 to 9 anchors saturate", {"table_1c__scales_4_ratios_3": 36.0}),
        ("6 to 9 anchors saturate", {"table_1c__scales_2_ratios_3": 33.0}),
        ("6 to 9 anchors saturate", {"table_1c__scales_1_ratios_1": 36.0}),
        ("the focal loss beats OHEM", {"table_1d__ohem_256_nms_7": 37.0}),
        ("the focal loss beats OHEM", {"table_1d__ohem_1_3_256_nms_5": 37.0}),
        ("OHEM beats OHEM 1:3", {"table_1d__ohem_1_3_512_nms_5": 50.0}),
        ("FL* is as good as FL", {"table_3__fl_star_4_0": 30.0}),
        ("FL* is as good as FL", {"table_3__fl_star_4_0": 33.2}),  # nearer to the focal loss, but behind it
    ],
)
def test_a_claim_that_is_not_so(claim, changes):
    assert verdicts(**changes)[claim] == NOT_SEEN


def test_rows_that_were_not_trained_are_named():
    measured = Measured({row: [ap, ap] for row, ap in PAPER.items() if row != OHEM_1_3[2]})
    verdict = {v.claim: v for v in judge(measured)}["OHEM beats OHEM 1:3"]
    assert (verdict.verdict, verdict.why) == (UNTOLD, "not trained: table_1d/ohem_1_3_512_nms_5")


def test_one_seed_tells_nothing():
    found = judge(Measured({row: [ap] for row, ap in PAPER.items()}))
    assert {v.verdict for v in found} == {UNTOLD}
    assert found[0].why == "only one seed: section_5_1/no_prior, section_5_1/prior"


def test_a_difference_and_its_interval():
    """By hand: variances of the means 0.5 / 2 and 1 / 3, so 2.88 degrees of freedom, counted as 2."""
    measured = Measured({"a": [30.0, 31.0], "b": [29.0, 31.0, 30.0], "c": [20.0, 20.0]})
    error = 4.303 * math.sqrt(1 / 4 + 1 / 3)
    assert measured.contrast({"a": 1, "b": -1}) == (pytest.approx(0.5), pytest.approx(error))
    assert measured.better("a", "b") == (UNTOLD, "30.5 against 30.0 (difference +0.5 ± 3.3)")
    assert measured.better("a", "a") == (UNTOLD, "30.5")
    # All the freedom is that of the row that varies.
    assert measured.contrast({"b": 1, "c": -1}) == (pytest.approx(10.0), pytest.approx(4.303 / math.sqrt(3)))
    assert measured.contrast({"c": 1}) == (20.0, 0.0)


def test_one_training_under_several_names_varies_once():
    measured = Measured({name: [1.0, 2.0, 3.0] for name in "abc"} | {"other": [4.0, 5.0, 6.0]})
    once = measured.contrast({"other": 1, "a": -1})
    thirds = measured.contrast({"other": 1, "a": -1 / 3, "b": -1 / 3, "c": -1 / 3})
    assert thirds == (pytest.approx(once[0]), pytest.approx(once[1]))
    assert measured.contrast({"a": 1, "b": -1}) == (0.0, 0.0)


def test_equal_variances_give_students_interval():
    measured = Measured({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]})
    assert measured.contrast({"b": 1, "a": -1}) == (pytest.approx(3.0), pytest.approx(2.776 * math.sqrt(2 / 3)))


def test_a_tie_of_prior_and_no_prior_is_no_failure():
    found = verdicts(deviation=1.0, section_5_1__no_prior=30.0, section_5_1__hinge=29.0, table_1a__alpha_10=31.0)
    assert {found[claim] for claim in FAILURES} == {NOT_SEEN}


def test_rows_that_claims_need_exist():
    rows = {row.config for row in ROWS if row.seeds}
    assert {*CE, *OHEM, *OHEM_1_3, *(row for part in SWEEP.values() for row in part.values())} <= rows


def test_a_row_that_fails_with_some_seeds_tells_nothing():
    measured = Measured({row: [ap, ap] for row, ap in PAPER.items()} | {"section_5_1/no_prior": [2.0, 6.0]})
    assert judge(measured)[0].verdict == UNTOLD


def test_the_best_alpha_of_each_gamma_counts():
    """Table 1b has the paper's best, which need not be the best here."""
    claim = "its optimum about gamma = 2 is broad"
    assert verdicts(table_1b__gamma_2=30.0, table_1b__gamma_1=33.0, alpha_sweep__gamma_2_alpha_50=33.6)[claim] == SEEN
    assert verdicts(table_1a__alpha_99=33.5)[claim] == NOT_SEEN  # above gamma 0.5 and 5


def test_figure_4():
    assert judge_figure_4(None).verdict == UNTOLD
    assert judge_figure_4({"0": 0.6, "2": 0.99}).verdict == SEEN
    assert judge_figure_4({"0": 0.6, "2": 0.85}).verdict == NOT_SEEN
    assert judge_figure_4({"0": 0.97, "2": 0.96}).verdict == NOT_SEEN


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3], [10, 20, 40], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),
        ([1, 1, 2], [1, 2, 3], math.sqrt(3) / 2),
    ],
)
def test_rank_correlation(a, b, expected):
    assert rank_correlation(a, b) == pytest.approx(expected)


def test_no_rank_correlation_with_a_constant():
    assert math.isnan(rank_correlation([1, 1], [1, 2]))
