"""The table of a comparison as text, and its results file."""

import csv
import json
from pathlib import Path

import pytest

from rdet.analysis.compare.difference import differences
from rdet.analysis.compare.output import Output
from rdet.analysis.compare.row import Row, read_rows, write_rows
from rdet.analysis.compare.table import Table
from rdet.errors import ResultsError

COST = {"parameters": 1_500_000, "flops": 2_340_000_000, "step_ms": 20.0, "latency_ms": 10.0}
RESULTS = Path(__file__).resolve().parents[3] / "docs" / "results"


def metrics(ap, ap50=0.5):
    return {"AP": ap, "AP50": ap50, "AP75": 0.25}


def rows():
    return [
        Row("base", [], {0: metrics(0.30), 1: metrics(0.34), 2: metrics(0.32)}, COST, "a.py"),
        Row("better_1", ["neck"], {0: metrics(0.401), 1: metrics(0.44), 2: metrics(0.421)}, {**COST, "step_ms": 30.0}),
        Row("a|b", ["loss_cls"], {0: metrics(0.30), 1: {"failed": "no memory"}, 2: metrics(0.35, 0.6)}),
    ]


def table(of):
    return Table(of, differences(of))


def test_markdown():
    assert table(rows()).markdown().splitlines() == [
        "| detector | differs in | AP | AP50 | difference | p (Holm) | seeds for 0.01 | parameters | GFLOPs | step | "
        "latency |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        "| base | (base) | 0.320 ± 0.020 | 0.500 ± 0.000 |  |  |  | 1.50 M | 2.34 | 20 ms (1.00) | 10 ms (1.00) |",
        "| better_1 | neck | 0.421 ± 0.020 | 0.500 ± 0.000 | **+0.101 [+0.099, +0.102]** | <0.001 | 3 | 1.50 M "
        "| 2.34 | 30 ms (1.50) | 10 ms (1.00) |",
        "| a\\|b | loss_cls | 0.325 ± 0.035 (1 failed) | 0.550 ± 0.071 (1 failed) | +0.015 [−0.176, +0.206] | 0.500 "
        "| 46 |  |  |  |  |",
    ]


def test_latex_has_all_cells_and_nothing_that_it_would_read_as_its_own():
    lines = table(rows()).latex().splitlines()
    assert r"\begin{tabular}{llrrrrrrrrr}" in lines
    better = next(line for line in lines if line.startswith("better"))
    assert better.startswith(r"better\_1 & neck & 0.421 $\pm$ 0.020 & ")
    assert r"\textbf{+0.101 [+0.099, +0.102]} & $<$0.001 & 3 & " in better
    assert better.endswith(r"\\")
    odd = table([Row("[x] 50 % \\ {$^~}", [])]).latex().splitlines()[-3]
    assert odd == r"{}[x] 50 \% \textbackslash{} \{\$\textasciicircum{}\textasciitilde{}\} & (base) \\"


def test_csv_has_unrounded_numbers_and_each_seed():
    base, better, odd = csv.DictReader(table(rows()).csv().splitlines())
    assert (base["detector"], base["difference"], base["AP_seed_1"]) == ("base", "", "0.34")
    assert float(better["difference"]) == pytest.approx(0.302 / 3)
    assert float(better["step_ms"]) == 30
    assert (odd["failed"], odd["pairs"], odd["AP_seed_1"], odd["parameters"]) == ("1", "2", "", "")
    assert float(better["p"]) < float(better["p_holm"]) < 0.001


def test_one_seed_shows_differences_alone():
    of = [Row("base", [], {0: metrics(0.5)}), Row("x", ["neck"], {0: metrics(0.6)})]
    assert table(of).cells() == [
        ["detector", "differs in", "AP", "AP50", "difference"],
        ["base", "(base)", "0.500", "0.500", ""],
        ["x", "neck", "0.600", "0.500", "+0.100"],
    ]
    assert "One seed gives no interval; give --seeds 2 or more." in table(of).notes()


def test_notes_say_how_many_seeds_a_difference_needs():
    notes = " ".join(table(rows()).notes())
    assert "Holm's correction for 2 comparisons" in notes
    assert "to find a difference of 0.01 with that takes 17 seeds" in notes
    assert "Two seeds say little of a spread" in notes
    assert "Failed trainings count in no number" in notes


def test_nothing_was_trained():
    of = [Row("base", [], {0: {"failed": "x"}}), Row("y", ["neck"], {0: {"failed": "x"}})]
    assert table(of).cells()[1:] == [["base", "(base)", "(1 failed)", "(1 failed)"], ["y", "neck"] + ["(1 failed)"] * 2]


def test_files(tmp_path, capsys):
    kinds = ("markdown", "latex", "csv")
    output = Output(tmp_path / "r.json", {kind: tmp_path / "sub" / kind for kind in kinds})
    output.keep(rows())
    assert "difference" not in json.loads((tmp_path / "r.json").read_text())[1]
    output.show(rows())
    stored = json.loads((tmp_path / "r.json").read_text())
    assert stored[1]["difference"]["mean"] == pytest.approx(0.302 / 3)
    assert stored[1]["difference"]["seeds"] == [0, 1, 2]
    assert read_rows(tmp_path / "r.json") == rows()
    assert (tmp_path / "sub" / "markdown").read_text().startswith(table(rows()).markdown())
    assert (tmp_path / "sub" / "csv").read_text() == table(rows()).csv()
    out = capsys.readouterr().out
    assert "| better_1 | neck " in out
    assert f"written: {tmp_path / 'sub' / 'csv'}" in out


@pytest.mark.parametrize("name", ["bccd", "detectors", "quickstart"])
def test_results_of_former_versions_can_be_read(name):
    of = read_rows(RESULTS / f"swaps_{name}.json")
    assert of[0].name == "base"
    assert of[0].cost["parameters"] > 1e6
    assert all(one is None or len(one.seeds) <= 2 for one in differences(of))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.clear(), "has no rows"),
        (lambda rows: rows[0].pop("differs"), r"\[0\] has no differs"),
        (lambda rows: rows[0]["seeds"].update(x={}), "'x', which is no seed"),
        (lambda rows: rows[0]["seeds"]["0"].pop("AP50"), r"\[0\].seeds.0: it has no AP50"),
        (lambda rows: rows[1]["cost"].update(flops="many"), r"\[1\].cost: flops is 'many'"),
    ],
)
def test_results_that_are_none(change, message, tmp_path):
    path = tmp_path / "r.json"
    write_rows(path, rows())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=message):
        read_rows(path)
