"""The tool that compares: real trainings of the tiny detector, and what it says of wrong options."""

import json
import sys
from pathlib import Path

import pytest
from forked import Forked
from tiny_run import ROOT

from rdet.analysis.alone import alone
from rdet.analysis.compare.places import Children
from rdet.commands import compare

RESULTS = ROOT / "docs" / "results" / "swaps_quickstart.json"


def in_a_copy(children, command, log, environment):
    """Trains in a copy of a process that has imported torch, in place of a new one."""
    process = Forked(ROOT / "tools" / "train.py", command[4:], log.parent, [environment])
    said, _ = process.communicate()
    log.write_text(said)
    return process.returncode


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["rdet compare", *map(str, words)])
    compare.main()


def test_two_detectors_with_two_seeds(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Children, "run", in_a_copy)
    words = [config, "--swap", "neck=BiFPN", "--work-dir", tmp_path / "runs", "--csv", tmp_path / "table.csv"]
    words += ["--cfg-options", "train_dataloader.num_workers=0", "train_cfg.max_iters=1"]
    words += ["--seeds", "2", "--rounds", "1", "--jobs", "2"]
    call(monkeypatch, *words)
    out = capsys.readouterr().out
    assert "neck=BiFPN keeps neck.out_channels=16, neck.num_extra=1 of the base" in out
    results = tmp_path / "runs" / "results.json"
    base, swapped = json.loads(results.read_text())
    assert (base["name"], swapped["name"], swapped["differs"]) == ("tiny", "neck=BiFPN", ["neck"])
    assert all(0 <= row["seeds"][seed]["AP"] <= 1 for row in (base, swapped) for seed in "01")
    assert 1000 < swapped["cost"]["parameters"] < base["cost"]["parameters"]
    assert 0 < swapped["equal_weights"] < 1
    assert swapped["difference"]["seeds"] == [0, 1]
    assert swapped["config"] == str(tmp_path / "runs" / "configs" / "neck-BiFPN.py")
    assert results.with_suffix(".md").read_text().count("\n| ") == 2  # behind the head
    assert "</html>" in results.with_suffix(".html").read_text()
    assert (tmp_path / "table.csv").read_text().count("\n") == 3
    monkeypatch.setattr(Children, "run", lambda *_: pytest.fail("trained again"))
    call(monkeypatch, *words[:-4], "--rounds", "0", "--seeds", "0", "1")
    again = json.loads(results.read_text())
    assert [row["seeds"] for row in again] == [base["seeds"], swapped["seeds"]]


def test_a_second_comparison_in_a_folder_leaves_the_configs_of_the_first(config, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "runs"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs/neck-BiFPN.py").write_text("of the first")
    with alone(folder, "rdet compare"), pytest.raises(SystemExit, match="1"):
        call(monkeypatch, config, "--swap", "neck=BiFPN", "--work-dir", folder)
    assert capsys.readouterr().err == (
        f"error: another 'rdet compare' is at work in {folder}; wait until it ends, or take another folder\n"
    )
    assert (folder / "configs/neck-BiFPN.py").read_text() == "of the first"


def test_a_former_comparison_is_shown_again(tmp_path, monkeypatch, capsys):
    call(monkeypatch, "--from", RESULTS, "--latex", tmp_path / "t.tex", "--metric", "AP50", "--difference", "0.02")
    out = capsys.readouterr().out
    assert "| seeds for 0.02 |" in out
    assert "| neck_bifpn " in out
    assert (tmp_path / "t.tex").read_text().count(r"\\") == 21
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.tex"]
    call(monkeypatch, "--from", RESULTS, "--out", tmp_path / "page")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "page.md", "t.tex"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the config of the base, or --from RESULTS.json"),
        (["--from", RESULTS, "x.py"], "--from trains nothing; leave configs and --swap out"),
        (["x.py", "--difference", "1.5"], "'1.5' must be a number from 0.0001 to 1"),
        (["x.py", "--seeds", "5000"], "one number is how many seeds there are, at most 1000"),
        (["x.py", "--swaps", "a=b"], "there is no option --swaps. Did you mean --swap"),
    ],
)
def test_wrong_options(words, message, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, *words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "seeds"),
    [([], [0, 1]), (["3"], [0, 1, 2]), (["0"], [0]), (["1"], [0]), (["4", "7", "4"], [4, 7]), (["0", "1"], [0, 1])],
)
def test_seeds(given, seeds, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rdet compare", str(Path("x.py")), *(["--seeds", *given] if given else [])])
    assert compare.parse_args().seeds == seeds
