"""The page of a comparison of trainings."""

from dataclasses import dataclass

from markupsafe import Markup

from rdet import __version__
from rdet.analysis.compare.difference import Difference
from rdet.analysis.compare.table import Table
from rdet.report.charts import chart
from rdet.report.rendering import templates
from rdet.visualization.fonts import drawn_elsewhere
from rdet.visualization.plots import plot_dots, plot_intervals, plot_scatter

# Cost -> what its axis says, and its unit.
_COSTS = {
    "latency_ms": ("latency of an image in ms", 1.0),
    "flops": ("GFLOPs of an image", 1e9),
    "step_ms": ("training step in ms", 1.0),
    "parameters": ("parameters in millions", 1e6),
}
_MOST_NAMED = 6


@dataclass(frozen=True)
class _Options:
    title: str


def comparison_page(table: Table, title: str, command: str = "") -> str:
    """Write the page of a comparison.

    Args:
        table: The detectors, and their differences to the first.
        title: Of the page.
        command: What made the comparison; empty: not said.

    Returns:
        HTML with all that it needs in it.
    """
    with drawn_elsewhere():  # whoever looks at the page has fonts
        plots = _plots(table)
    return (
        templates()
        .get_template("comparison.html")
        .render(
            options=_Options(title),
            table=table,
            lines=list(zip(table.rows, table.found, strict=True)),
            seeds=sorted({seed for row in table.rows for seed in row.seeds}),
            plots=plots,
            remarks=remarks(table),
            command=command,
            version=__version__,
        )
    )


def remarks(table: Table) -> list[str]:
    """Say in sentences which detectors are better than the base, and which are worse."""
    tested = [(row.name, one) for row, one in zip(table.rows, table.found, strict=True) if one is not None]
    if not any(one.interval for _, one in tested):
        return []
    said = []
    for word, fits in (("better", lambda one: one.mean > 0), ("worse", lambda one: one.mean < 0)):
        shown = [f"{name} ({_signed(one)})" for name, one in tested if one.is_shown and fits(one)]
        if shown:
            said.append(f"{word.capitalize()} than the base: {', '.join(shown)}.")
    open_ones = [name for name, one in tested if one.interval and not one.is_shown]
    if open_ones:
        which = (
            ", ".join(open_ones) if len(open_ones) <= _MOST_NAMED else f"{len(open_ones)} of {len(tested)} detectors"
        )
        said.append(
            f"Not shown to differ: {which}. That is no proof that they are equal: see how wide the intervals are."
        )
    return said


def _signed(one: Difference) -> str:
    return f"{one.mean:+.3f}".replace("-", "−")


def _plots(table: Table) -> dict[str, list[Markup]]:
    metric = table.metric
    values = {row.name: list(row.values(metric).values()) for row in table.rows}
    found = {"dots": [chart(plot_dots(values, metric), f"{metric} of each seed")], "differences": [], "costs": []}
    known = {
        row.name: (one.mean, one.interval, one.is_shown)
        for row, one in zip(table.rows, table.found, strict=True)
        if one is not None
    }
    if known:
        label = f"{metric} minus the base's"
        found["differences"].append(chart(plot_intervals(known, label), "Difference to the base with its interval"))
    for cost, (label, unit) in _COSTS.items():
        points = {
            row.name: (row.cost[cost] / unit, sum(values[row.name]) / len(values[row.name]))
            for row in table.rows
            if row.cost and values[row.name]
        }
        if len({x for x, _ in points.values()}) > 1:
            found["costs"].append(chart(plot_scatter(points, (label, metric)), f"{metric} over {label}"))
    return found
