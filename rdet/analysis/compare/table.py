"""The table of a comparison, for terminals, Markdown, LaTeX and spreadsheets."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from terminaltables import AsciiTable

from rdet.analysis.compare.difference import ALPHA, LEAST_SEEDS, POWER, Difference, pooled_spread
from rdet.analysis.compare.row import METRICS, Row
from rdet.analysis.compare.student import pairs_needed
from rdet.messages import printable

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "−": "$-$", "<": "$<$", ">": "$>$"},
}
_MARKDOWN = {"|": r"\|"}


@dataclass(frozen=True)
class Table:
    """The rows of a comparison with their differences to the first.

    Attributes:
        rows: The detectors; the first is the base.
        found: The difference of each to the base; None where there is none.
        metric: What is compared.
        size: The difference for which needed seeds are counted.
    """

    rows: Sequence[Row]
    found: Sequence[Difference | None]
    metric: str = "AP"
    size: float = 0.01

    def cells(self) -> list[list[str]]:
        """Return the head and the rows as texts; columns of which nothing is known are left out."""
        head = ["detector", "differs in", *self._metrics(), "difference", "p (Holm)", f"seeds for {self.size:g}"]
        head += ["parameters", "GFLOPs", "step", "latency"]
        first = self.rows[0].cost
        body = [
            [
                row.name,
                ", ".join(row.differs) or "(base)",
                *(spread_of(row, name) for name in self._metrics()),
                *_difference(one),
                *_cost(row.cost, first),
            ]
            for row, one in zip(self.rows, self.found, strict=True)
        ]
        known = [place for place in range(len(head)) if place < 2 or any(row[place] for row in body)]
        return [[printable(row[place]) for place in known] for row in [head, *body]]

    def notes(self) -> list[str]:
        """Say in sentences what the numbers are."""
        tested = [one for one in self.found if one is not None and one.spread is not None]
        notes = ["AP: of the last evaluation; mean ± standard deviation over the seeds."]
        if tested:
            notes += [
                f"difference: {self.metric} minus the base's, mean over seeds with which both were trained, and its "
                "95 % interval (Student's t), each taken for itself.",
                f"p (Holm): paired t test of both sides, Holm's correction for {len(tested)} "
                f"{'comparison' if len(tested) == 1 else 'comparisons'}; bold below {ALPHA:g}.",
                f"seeds for {self.size:g}: seeds that would find a difference of {self.size:g} in {_percent(POWER)} of "
                f"all cases, with the spread seen and {_percent(ALPHA / len(tested))} of false findings a comparison.",
            ]
            spread = pooled_spread(self.found)
            if spread is not None and len(tested) > 1:
                needed = pairs_needed(spread, self.size, ALPHA / len(tested), POWER)
                notes.append(
                    f"Over all detectors, differences of one seed spread by {spread:.4f}; to find a difference of "
                    f"{self.size:g} with that takes {needed} seeds."
                )
            if min(len(one.seeds) for one in tested) == LEAST_SEEDS:
                notes.append("Two seeds say little of a spread: intervals are wide, and needed seeds a rough guess.")
        elif any(one is not None for one in self.found):
            notes.append(f"One seed gives no interval; give --seeds {LEAST_SEEDS} or more.")
        if any(row.failures for row in self.rows):
            notes.append("Failed trainings count in no number, which flatters a detector that is unstable.")
        return notes

    def text(self) -> str:
        """Write it for a terminal."""
        return AsciiTable(self.cells()).table

    def markdown(self) -> str:
        """Write it as Markdown, times as multiples of the first row's; what differs from the base is bold."""
        head, *body = [[_escaped(cell, _MARKDOWN) for cell in row] for row in self.cells()]
        lines = [head, ["---"] * len(head), *self._emphasized(head, body, "**{}**")]
        return "\n".join(f"| {' | '.join(row)} |".replace("| --- |", "|---|").replace(" --- ", "---") for row in lines)

    def latex(self) -> str:
        """Write it as a ``tabular`` of LaTeX with the package booktabs, notes as comments."""
        head, *body = [[_escaped(cell, _LATEX) for cell in row] for row in self.cells()]
        strong = self._emphasized(head, body, "\\textbf{{{}}}")
        lines = [f"% {note}" for note in self.notes()] + [
            f"\\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
            "\\toprule",
            f"{' & '.join(head)} \\\\",
            "\\midrule",
            # LaTeX would take a bracket behind a line's end for its option.
            *(f"{'{}' * row[0].startswith('[')}{' & '.join(row)} \\\\" for row in strong),
            "\\bottomrule",
            "\\end{tabular}",
        ]
        return "\n".join(lines)

    def csv(self) -> str:
        """Write all numbers, unrounded, a row for each detector; a seed's columns end in its number."""
        seeds = sorted({seed for row in self.rows for seed in row.seeds})
        costs = ("parameters", "flops", "step_ms", "latency_ms")
        head = ["detector", "differs", "failed"]
        head += [f"{name}_{what}" for name in METRICS for what in ("mean", "sd")]
        head += ["metric", "pairs", "difference", "low", "high", "p", "p_holm", "seeds_needed", *costs]
        head += [f"{name}_seed_{seed}" for name in METRICS for seed in seeds]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(head)
        for row, one in zip(self.rows, self.found, strict=True):
            line: list[object] = [row.name, " ".join(row.differs), len(row.failures)]
            for name in METRICS:
                values = list(row.values(name).values())
                line += [fmean(values) if values else None, stdev(values) if len(values) > 1 else None]
            low, high = (one and one.interval) or (None, None)
            line += [self.metric, *([len(one.seeds), one.mean] if one else [None, None]), low, high]
            line += [one.p, one.adjusted, one.needed] if one else [None] * 3
            line += [(row.cost or {}).get(name) for name in costs]
            line += [row.values(name).get(seed) for name in METRICS for seed in seeds]
            writer.writerow(line)
        return text.getvalue()

    def _metrics(self) -> list[str]:
        return list(dict.fromkeys(("AP", "AP50", self.metric)))

    def _emphasized(self, head: Sequence[str], body: Sequence[list[str]], form: str) -> list[list[str]]:
        """Return the rows with the difference made bold where it is shown."""
        if "difference" not in head:
            return list(body)
        column = list(head).index("difference")
        return [
            [form.format(cell) if place == column and one and one.is_shown else cell for place, cell in enumerate(row)]
            for row, one in zip(body, self.found, strict=True)
        ]


def spread_of(row: Row, metric: str) -> str:
    """Say the mean of the seeds and their standard deviation; failures are counted, not left out in silence."""
    values = list(row.values(metric).values())
    text = f"{fmean(values):.3f}" if values else ""
    if len(values) > 1:
        text += f" ± {stdev(values):.3f}"
    return f"{text} ({len(row.failures)} failed)".strip() if row.failures else text


def _difference(one: Difference | None) -> list[str]:
    """Return the difference with its interval, its adjusted p, and the seeds that are needed."""
    if one is None:
        return ["", "", ""]
    if one.interval is None or one.adjusted is None:
        return [_signed(one.mean), "", ""]
    low, high = one.interval
    p = "<0.001" if one.adjusted < 0.001 else f"{one.adjusted:.3f}"
    return [f"{_signed(one.mean)} [{_signed(low)}, {_signed(high)}]", p, str(one.needed)]


def _cost(cost: Mapping[str, float] | None, first: Mapping[str, float] | None) -> list[str]:
    if cost is None:
        return [""] * 4
    times = [
        f"{cost[name]:.0f} ms" + (f" ({cost[name] / first[name]:.2f})" if first and first[name] else "")
        for name in ("step_ms", "latency_ms")
    ]
    return [f"{cost['parameters'] / 1e6:.2f} M", f"{cost['flops'] / 1e9:.2f}", *times]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(c, c) for c in text)
