"""The page of a comparison: everything in one file, whatever names and results there are."""

import re

from rdet.analysis.compare.difference import differences
from rdet.analysis.compare.row import Row
from rdet.analysis.compare.table import Table
from rdet.report.comparison_page import comparison_page, remarks

COST = {"parameters": 1_500_000, "flops": 2_340_000_000, "step_ms": 20.0, "latency_ms": 10.0}


def metrics(ap):
    return {"AP": ap, "AP50": ap + 0.2, "AP75": 0.25}


def table(*rows):
    return Table(rows, differences(rows))


ROWS = (
    Row("base", [], {seed: metrics(0.30 + seed / 100) for seed in range(3)}, COST),
    Row(
        "<b>多 & $x$",
        ["neck"],
        {s: metrics(0.4011 + s / 99) for s in range(3)},
        {**COST, "flops": 3e9},
        kept=["neck.k=1"],
    ),
    Row("bad", ["loss_cls"], {seed: {"failed": "training ended with code 3"} for seed in range(3)}),
    Row("same", ["quality"], {0: metrics(0.31), 1: metrics(0.30), 2: metrics(0.33)}, {**COST, "step_ms": 60.0}),
)


def test_page():
    page = comparison_page(table(*ROWS), "A <title>", "rdet compare base.py")
    assert "<title>A &lt;title&gt;</title>" in page
    assert "&lt;b&gt;多 &amp; $x$" in page
    assert "<b>多" not in page
    assert page.count('class="chart"') == 4  # differences, seeds, and the two costs that differ
    assert ">+0.101</b>" in page
    assert page.count(">failed</td>") == 3
    assert "neck.k=1" in page
    assert "rdet compare base.py" in page
    assert '<td class="n" data-v="3.0" title="3.0">3.00</td>' in page  # a step three times as long as the base's
    # Nothing is loaded from elsewhere.
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_stands_out():
    assert remarks(table(*ROWS)) == [
        "Better than the base: <b>多 & $x$ (+0.101).",
        "Not shown to differ: same. That is no proof that they are equal: see how wide the intervals are.",
    ]
    many = [Row(f"x{i}", ["neck"], {s: metrics(0.3 + (s + i) % 3 / 100) for s in range(3)}) for i in range(8)]
    assert "8 of 8 detectors" in remarks(table(ROWS[0], *many))[0]


def test_one_seed_one_detector_and_no_costs():
    one = {0: metrics(0.3)}
    page = comparison_page(table(Row("base", [], one), Row("x", ["neck"], one)), "t")
    assert "One seed: nothing says which of these are chance." in page
    assert "95 % interval</button>" not in page
    assert page.count('class="chart"') == 2
    alone = comparison_page(table(Row("base", [], one)), "t")
    assert alone.count('class="chart"') == 1
    failed = comparison_page(
        table(Row("base", [], {0: {"failed": "x"}}), Row("y", ["neck"], {0: {"failed": "x"}})), "t"
    )
    assert failed.count(">failed</td>") == 2
