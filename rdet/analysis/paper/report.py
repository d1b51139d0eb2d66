"""The paper's tables beside the small trainings, as Markdown."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rdet.analysis.paper.claims import (
    FEW_PERCENT,
    FL,
    FLOOR,
    Measured,
    Verdict,
    judge,
    judge_figure_4,
    rank_correlation,
)
from rdet.analysis.paper.rows import AP, ROWS, Row, rows_of
from rdet.analysis.paper.suite import Outcome, Suite
from rdet.analysis.results_file import read_results

TITLES = {
    "section_5_1": "Section 5.1: the prior, and the hinge loss",
    "1a": "Table 1a: alpha-balanced cross entropy",
    "1b": "Table 1b: focal loss",
    "alpha_sweep": "Section 5.1: alpha for each gamma",
    "1c": "Table 1c: anchors",
    "1d": "Table 1d: OHEM",
    "1e": "Table 1e: depth and scale",
    "2": "Table 2: detectors in one stage",
    "3": "Table 3: FL*",
    "star_sweep": "Appendix A: FL* with other settings, for Figure 7",
}

# What a table of the paper has beside its rows here.
NOTES = {
    "2": "Without a config, since they are detectors in two stages, which rdet does not build from its parts: "
    "Faster R-CNN+++ (34.9 AP in the paper), Faster R-CNN with FPN (36.2), by G-RMI (34.7) and with TDM (36.8).",
}

_INTRODUCTION = """# The paper's tables at a small scale

Made by `python tools/paper.py run` and, from the results in `{results}`, by

    {command}

`docs/paper.md` says what is trained, and why some of it is not as in the paper. Rows of Tables 1e and 2 are for COCO
alone.
`rdet/analysis/paper/claims.py` has a function for each claim that says how it is judged: a difference counts if its
confidence interval does not contain 0, a row has failed if none of its seeds reaches {floor:g} AP, and Figure 4 has
thresholds. Claims are judged by all rows, whichever are shown."""


def status(suite: Suite, rows: Sequence[Row]) -> str:
    """Say how much of each table is trained, and how long the rest should take."""
    lines = []
    for table in dict.fromkeys(row.table for row in rows if row.seeds):
        of_table = [row for row in rows if row.table == table]
        done = sum(min(len(suite.outcomes(row)), row.seeds) for row in of_table)
        lines.append(f"{TITLES[table]}: {done} of {sum(row.seeds for row in of_table)}")
    missing = suite.missing(list(rows))
    times = [outcome.minutes for row in rows for outcome in suite.outcomes(row) if not outcome.diverged]
    left = f", about {len(missing) * fmean(times):.0f} minutes, divided by --jobs" if missing and times else ""
    return "\n".join([*lines, f"trainings to do, each detector once: {len(missing)}{left}"])


def report(suite: Suite, rows: Sequence[Row], figure_4: Path, command: str) -> str:
    """Write all tables, their rank correlations with the paper, and what became of its claims.

    Args:
        suite: With the outcomes.
        rows: Rows to show.
        figure_4: The numbers of Figure 4, see :mod:`rdet.analysis.paper.figures`; the file need not exist.
        command: What makes the report, to be said in it.

    Raises:
        ResultsError: The file of Figure 4 has other contents.
    """
    outcomes = {row.config: suite.outcomes(row) for row in rows}
    aps = {row: _aps(suite.outcomes(row)) for row in ROWS if row.seeds}
    measured = Measured({row.config: values for row, values in aps.items()})
    verdicts = [*judge(measured), judge_figure_4(_shares(figure_4, suite.fingerprint(rows_of([FL])[0])))]
    trainings = {(o.config, o.seed): o for found in outcomes.values() for o in found}
    unfinished = len(suite.missing(list(rows)))
    introduction = _INTRODUCTION.format(results=suite.results.path, command=command, floor=FLOOR)
    parts = [introduction, _heading(list(trainings.values()), unfinished), _claims(verdicts)]
    for table in dict.fromkeys(row.table for row in rows):
        parts.append(_table(table, [row for row in rows if row.table == table], outcomes))
    return "\n\n".join(parts) + "\n"


def _shares(figure_4: Path, config: str) -> dict[str, float] | None:
    """Read what the hardest negatives hold; None if nobody looked, or at a model of another setting."""
    if not figure_4.exists():
        return None
    key = f"hardest_{FEW_PERCENT}_percent_of_negatives"
    remedy = "delete it, and make it anew with 'tools/paper.py figures'"
    numbers = read_results(
        figure_4, {key: {"0": float, "2": float}}, f"it does not hold the numbers of Figure 4; {remedy}"
    )
    of = numbers.get("of")
    numbers[key] = {gamma: share for gamma, share in numbers[key].items() if type(share) in (int, float)}
    return numbers[key] if isinstance(of, dict) and of.get("config") == config else None


def _aps(outcomes: Sequence[Outcome]) -> list[float]:
    return [100 * outcome.metrics["AP"] for outcome in outcomes]


def _heading(trainings: list[Outcome], unfinished: int) -> str:
    versions = Counter(", ".join(f"{name} {value}" for name, value in o.versions.items()) for o in trainings)
    lines = [f"**Unfinished: {unfinished} trainings are still to do.**"] if unfinished else []
    hours = sum(outcome.minutes for outcome in trainings) / 60
    lines += [
        f"{len(trainings)} trainings, together {hours:.1f} hours (of one that was interrupted, the last part).",
        "AP is the mean over the seeds, in percent, ± half of their range. Of a difference, ± is half of its 95 %",
        "confidence interval (Welch's).",
    ]
    lines += ["", *(f"- {count} with {version}" for version, count in sorted(versions.items()))]
    return "\n".join(lines)


def _claims(verdicts: Sequence[Verdict]) -> str:
    lines = ["| the paper's claim | at this scale | numbers |", "|---|---|---|"]
    lines += [f"| {v.claim} | {v.verdict} | {v.why} |" for v in verdicts]
    return "\n".join(lines)


def _table(table: str, rows: Sequence[Row], outcomes: dict[str, list[Outcome]]) -> str:
    lines = [
        f"### {TITLES[table]}",
        "",
        "| row | config | AP in the paper | AP50 | AP75 | AP here | AP50 | AP75 | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    both = []
    for row in rows:
        found = outcomes[row.config]
        paper = [_number(number) for number in row.paper or AP(None)]
        if row.paper is not None and found:
            both.append((row.paper.ap, fmean(_aps(found))))
        here = [_cell(found, metric) for metric in ("AP", "AP50", "AP75")]
        cells = [row.label, f"`{row.config}.py`", *paper, *here, str(len(found))]
        lines.append(f"| {' | '.join(cells)} |")
    correlation = rank_correlation(*zip(*both, strict=True)) if both else math.nan
    if not math.isnan(correlation):
        lines += ["", f"Rank correlation with the paper (Spearman's): {correlation:.2f} over {len(both)} rows."]
    if table in NOTES:
        lines += ["", NOTES[table]]
    return "\n".join(lines)


def _cell(outcomes: Sequence[Outcome], metric: str) -> str:
    """Say the mean and half of the range, and how many diverged."""
    if not outcomes:
        return ""
    values = [100 * outcome.metrics[metric] for outcome in outcomes]
    diverged = sum(outcome.diverged for outcome in outcomes)
    text = f"{fmean(values):.1f}" + (f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else "")
    return f"{text} ({diverged} diverged)" if diverged else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
