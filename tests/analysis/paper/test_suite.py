"""The small trainings of the paper's rows, with a stand-in for tools/train.py."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from forked import Forked

from rdet.analysis.alone import alone
from rdet.analysis.paper import suite as suite_module
from rdet.analysis.paper.report import report, status
from rdet.analysis.paper.rows import ROWS, rows_of
from rdet.analysis.paper.suite import Outcome, Results, Suite
from rdet.errors import ComparisonError

ROOT = Path(__file__).resolve().parents[3]

# AP 0.3 and a hundredth for each seed; rows without the prior diverge, and "hinge" cannot run.
TRAIN = """
import json, sys
from pathlib import Path
config, work_dir, seed, options = sys.argv[1], Path(sys.argv[3]), int(sys.argv[5]), sys.argv[7:]
with open(work_dir / "calls", "a") as calls:
    calls.write(" ".join(options) + "\\n")
if "no_prior" in config:
    sys.exit("error: iteration 3: the loss is not finite (loss: nan)")
if "hinge" in config:
    sys.exit("error: no module called timm")
scalars = work_dir / "20260101" / "vis_data" / "scalars.json"
scalars.parent.mkdir(parents=True, exist_ok=True)
metrics = {"coco/bbox_mAP": 0.3 + seed / 100, "coco/bbox_mAP_50": 0.5, "coco/bbox_mAP_75": 0.25, "step": 2}
scalars.write_text(json.dumps(metrics) + "\\n")
(work_dir / "last_checkpoint").write_text(str(work_dir / "iter_200.pth"))
"""


@pytest.fixture
def train_command(tmp_path, monkeypatch):
    for name, value in {"TRAIN": 2, "VAL": 1, "SIZE": 64}.items():
        monkeypatch.setattr(suite_module, name, value)
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return [sys.executable, str(path)]


@pytest.fixture
def suite(tmp_path):
    return Suite(ROOT / "configs/paper", tmp_path / "work", Results(tmp_path / "results" / "paper.json"))


def run(suite, rows, train_command, jobs=2):
    suite.run(rows, train_command, Path(train_command[-1]).parent / "data", jobs)


def page(suite, rows):
    return report(suite, rows, suite.work_dir / "figure_4.json", "python tools/paper.py report")


def test_rows_of_the_same_detector_share_their_trainings(suite):
    rows = rows_of(["table_1a/alpha_75", "table_1b/gamma_0", "table_3/cross_entropy", "table_1a/alpha_90"])
    assert [(row.config, seed) for row, seed in suite.missing(rows)] == [
        ("table_1a/alpha_75", 0),
        ("table_1a/alpha_90", 0),
        ("table_1a/alpha_75", 1),
        ("table_1a/alpha_90", 1),
        ("table_1a/alpha_75", 2),
        ("table_1a/alpha_90", 2),
    ]
    fingerprints = {suite.fingerprint(row) for row in ROWS if row.seeds}
    assert len(fingerprints) == 41 + 6  # of Figure 7


def test_it_goes_on_where_it_stopped(suite, train_command, tmp_path):
    rows = [replace(row, seeds=2) for row in rows_of(["table_3/fl_star_2_1", "table_3/cross_entropy"])]
    run(suite, rows[:1], train_command)
    run(suite, rows, train_command)
    again = Suite(suite.configs, suite.work_dir, Results(tmp_path / "results" / "paper.json"))
    assert again.missing(rows) == []
    run(again, rows, train_command)
    for row in rows:
        for seed in (0, 1):
            calls = (suite.folder(row, seed) / "calls").read_text()
            assert calls == f"data_root={(tmp_path / 'data').resolve()}/\n"
    assert [(o.seed, o.metrics["AP"], o.diverged) for o in again.outcomes(rows[0])] == [
        (0, 0.3, False),
        (1, 0.31, False),
    ]
    assert (tmp_path / "data/annotations/val.json").exists()
    assert suite.checkpoint(rows[0]).name == "iter_200.pth"
    # The cross entropy of Table 3 is kept as the first row that it is: whichever row asks, it is found.
    assert suite.folder(rows_of(["table_3/cross_entropy"])[0], 1) == suite.work_dir / "table_1a/alpha_75/seed_1"
    assert suite.checkpoint(rows_of(["table_1b/gamma_0"])[0]).parent.parent.name == "alpha_75"


def test_a_training_that_diverges_is_a_result(suite, train_command, capsys):
    rows = rows_of(["section_5_1/no_prior"])
    run(suite, rows, train_command)
    assert [(o.metrics["AP"], o.diverged) for o in suite.outcomes(rows[0])] == [(0.0, True)] * 3
    assert "section_5_1/no_prior, seed 1: diverged" in capsys.readouterr().out
    assert "0.0 ± 0.0 (3 diverged)" in page(suite, rows)


def test_a_training_that_fails_otherwise_is_no_result(suite, train_command):
    rows = rows_of(["section_5_1/hinge"])
    others = rows_of(["table_1b/gamma_5"])
    with pytest.raises(
        ComparisonError,
        match=r"^3 of 6 trainings failed, the first: .* code 1 \(no module called timm\); see .*output.txt",
    ):
        run(suite, rows + others, train_command, jobs=1)
    assert suite.outcomes(rows[0]) == []
    assert len(suite.outcomes(others[0])) == 3


def test_a_divergence_of_an_earlier_attempt_does_not_count(suite, train_command):
    rows = [replace(row, seeds=1) for row in rows_of(["section_5_1/hinge"])]
    log = suite.folder(rows[0], 0) / "output.txt"
    log.parent.mkdir(parents=True)
    log.write_text("error: iteration 3: the loss is not finite (loss: nan)\n")
    with pytest.raises(ComparisonError, match="1 of 1 trainings failed"):
        run(suite, rows, train_command)


def test_two_runs_in_one_folder(suite, train_command):
    with alone(suite.work_dir, "x"), pytest.raises(RuntimeError, match="another .* is at work in"):
        run(suite, rows_of(["table_1b/gamma_5"]), train_command)


def test_rows_for_coco_alone_show_no_small_training(suite, train_command):
    """Their depth and scale do not carry over, which leaves the same small detector as gamma 2."""
    run(suite, [replace(row, seeds=1) for row in rows_of(["table_1b/gamma_2"])], train_command)
    text = page(suite, rows_of(["1e", "2"]))
    assert "| could not be told at this scale | not trained: " in text
    assert "**Unfinished: 2 trainings are still to do.**" in page(suite, rows_of(["table_1b/gamma_2"]))
    assert "| ResNet-50, 600 pixels | `table_1e/r50_600.py` | 34.3 | 53.2 | 36.9 |  |  |  | 0 |" in text
    assert "40.8 | 61.1 | 44.1 |  |  |  | 0 |" in text
    assert suite.missing(rows_of(["1e", "2"])) == []


def test_other_data_is_another_detector(suite, monkeypatch):
    row = rows_of(["table_1b/gamma_2"])[0]
    before = suite.fingerprint(row)
    monkeypatch.setattr(suite_module, "SIZE", 321)
    assert Suite(suite.configs, suite.work_dir, suite.results).fingerprint(row) != before


def test_results_of_another_setting_do_not_count(suite, train_command, tmp_path):
    rows = rows_of(["table_1b/gamma_5"])
    suite.results.add(Outcome("0123456789ab", rows[0].config, 0, {"AP": 0.9}, False, 1.0, {}))
    assert len(suite.missing(rows)) == 3


def test_a_checkpoint_that_is_not_there(suite):
    with pytest.raises(FileNotFoundError, match=r"run 'tools/paper.py run table_1b/gamma_2' first"):
        suite.checkpoint(rows_of(["table_1b/gamma_2"])[0])


def test_report(suite, train_command):
    rows = rows_of(["1a"])
    run(suite, rows, train_command)
    text = page(suite, rows)
    assert "| CE, α = .75 | `table_1a/alpha_75.py` | 31.1 | 49.4 | 33.0 | 31.0 ± 1.0 | 50.0 ± 0.0 | 25.0" in text
    assert "\n\n21 trainings, " in text
    assert "Unfinished" not in text
    assert "confidence interval (Welch's)" in text
    assert "| alpha = .10 fails | not seen | 31.0 against 31.0; failed is below 5 |" in text
    assert "hold nearly all of their loss | could not be told at this scale | no model of this setting" in text
    assert f"from the results in `{suite.results.path}`, by\n\n    python tools/paper.py report\n" in text
    assert "| OHEM beats OHEM 1:3 | could not be told at this scale | not trained: table_1d/ohem_128_nms_5," in text


def test_one_seed_has_no_spread(suite, train_command):
    row = replace(rows_of(["table_1a/alpha_75"])[0], seeds=1)
    run(suite, [row], train_command)
    assert "| 30.0 | 50.0 | 25.0 | 1 |" in page(suite, [row])


@pytest.mark.parametrize(
    ("names", "message"), [(["1e"], "for COCO alone: table_1e/r50_400, "), (["3"], ": all is done")]
)
def test_nothing_to_train_is_said(suite, train_command, capsys, names, message):
    rows = rows_of(names)
    run(suite, rows, train_command)
    capsys.readouterr()
    run(suite, rows, train_command)
    assert message in capsys.readouterr().out
    assert (Path(train_command[-1]).parent / "data").exists() == (names == ["3"])


@pytest.mark.parametrize("content", ["{", '{"a": 1}', '[{"config": "a"}]'])
def test_other_files_are_no_results(suite, tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"other.json.*; name the results of 'tools/paper.py run', or remove it$"):
        Results(path)
    with pytest.raises(
        ValueError, match=r"other.json.*; it does not hold the numbers of Figure 4; delete it, and make it anew with "
    ):
        report(suite, ROWS, path, "")


def test_figure_4_of_another_setting_does_not_count(suite, tmp_path):
    path = tmp_path / "figure_4.json"
    row = rows_of(["table_1b/gamma_2"])[0]
    numbers = {"hardest_5_percent_of_negatives": {"0": 0.2, "2": 0.95}}
    for config, verdict in ((suite.fingerprint(row), "seen"), ("0123456789ab", "could not be told at this scale")):
        path.write_text(json.dumps({"of": {"config": config}} | numbers))
        assert f"hold nearly all of their loss | {verdict} |" in report(suite, ROWS, path, "")


def test_status(suite, train_command):
    rows = rows_of(["3"])
    run(suite, rows[:1], train_command)
    assert status(suite, rows).startswith("Table 3: FL*: 3 of 12\ntrainings to do, each detector once: 9, about ")


def test_results_are_sorted_and_whole_after_each_training(tmp_path):
    results = Results(tmp_path / "r.json")
    for row, seed in (("b", 1), ("a", 1), ("b", 0)):
        results.add(Outcome(row * 12, row, seed, {"AP": 0.5, "AP50": 0.7, "AP75": 0.5}, False, 1.0, {}))
        stored = json.loads((tmp_path / "r.json").read_text())
    assert [(o["row"], o["seed"]) for o in stored] == [("a", 1), ("b", 0), ("b", 1)]
    assert [o.seed for o in Results(tmp_path / "r.json").of("b" * 12)] == [0, 1]


def test_tool(tmp_path):
    def paper(*words: str) -> tuple[int, str, str]:
        process = Forked(ROOT / "tools/paper.py", [*words, "--work-dir", str(tmp_path / "work")], tmp_path, apart=True)
        said, errors = process.communicate()
        return process.returncode, said, errors

    table = "Table 1c: anchors: 0 of 21\ntrainings to do, each detector once: 21\n"
    assert paper("status", "1c") == (0, table, "")
    code, _, errors = paper("figures", "1a")
    assert code == 2
    assert "error: figures reads no rows; run and status and report do" in errors
    code, _, errors = paper("run", "1f")
    assert code == 1
    assert errors.startswith("error: the paper has no table or row '1f'; tables: ")
