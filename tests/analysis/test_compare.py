import json
import sys
from pathlib import Path

import pytest
import torch

from rdet.analysis import cost
from rdet.analysis.compare import ComparisonError, compare, differing_slots, last_metrics, markdown_table, names_of
from rdet.analysis.cost import measure_costs
from rdet.apis.build import build_detector
from rdet.config import load_config

# Stands for tools/train.py: counts its calls, and fails for the config "bad".
TRAIN = """
import json, sys
from pathlib import Path
config, work_dir, seed = sys.argv[1], Path(sys.argv[3]), int(sys.argv[5])
with open(work_dir / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[4:]) + "\\n")
if "bad" in config:
    sys.exit(3)
scalars = work_dir / "20260101" / "vis_data" / "scalars.json"
scalars.parent.mkdir(parents=True, exist_ok=True)
metrics = {"coco/bbox_mAP": 0.3 + seed / 10, "coco/bbox_mAP_50": 0.5, "coco/bbox_mAP_75": 0.25, "step": 2}
scalars.write_text(json.dumps({"loss": 1.0, "step": 1}) + "\\n" + json.dumps(metrics) + "\\n")
"""


@pytest.fixture
def train_command(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return [sys.executable, str(path)]


@pytest.fixture
def child(config, tmp_path):
    """A config that differs from the tiny one in one slot."""

    def write(name, body="model = dict(loss_cls=dict(gamma=1.0))"):
        path = tmp_path / f"{name}.py"
        path.write_text(f'_base_ = "./tiny.py"\n{body}\n')
        return path

    return write


def test_every_config_is_trained_once_with_every_seed(config, child, train_command, tmp_path):
    configs, work_dir = [Path(config), child("focus")], tmp_path / "runs"
    rows = compare(configs, [0, 2], work_dir, train_command, options=["train_cfg.max_iters=3"])
    assert [(row["name"], row["differs"]) for row in rows] == [("tiny", []), ("focus", ["loss_cls"])]
    assert rows[1]["seeds"][2] == {"AP": 0.5, "AP50": 0.5, "AP75": 0.25}
    again = compare(configs, [0, 2], work_dir, train_command, options=["train_cfg.max_iters=3"])
    assert again == rows
    calls = (work_dir / "focus" / "seed_2" / "calls").read_text()
    assert calls == "--seed 2 --cfg-options train_cfg.max_iters=3\n"


def test_a_failed_training_is_a_row_and_is_tried_again(config, child, train_command, tmp_path, capsys):
    configs = [Path(config), child("bad")]
    rows = compare(configs, [0], tmp_path / "runs", train_command)
    assert "seed 0: training ended with code 3; see" in rows[1]["seeds"][0]["failed"]
    assert "error: " in capsys.readouterr().err
    assert "| bad | loss_cls | (1 failed) | (1 failed) |" in markdown_table(rows)
    compare(configs, [0], tmp_path / "runs", train_command)
    assert (tmp_path / "runs" / "bad" / "seed_0" / "calls").read_text().count("\n") == 2


def test_a_run_of_other_settings_is_not_taken_for_this_one(config, child, train_command, tmp_path):
    path, work_dir = child("focus"), tmp_path / "runs"
    compare([path], [0], work_dir, train_command)
    child("focus", "model = dict(loss_cls=dict(gamma=3.0))")
    (row,) = compare([path], [0], work_dir, train_command)
    assert "focus.py with another model.loss_cls.gamma; remove the folder" in row["seeds"][0]["failed"]
    child("focus")
    (row,) = compare([path], [0], work_dir, train_command, options=["train_cfg.max_iters=3"])
    assert "with another train_cfg.max_iters" in row["seeds"][0]["failed"]


def test_a_run_without_evaluation(tmp_path):
    with pytest.raises(ComparisonError, match="no evaluation in its logs"):
        last_metrics(tmp_path)


def test_an_interrupted_training_goes_on(config, train_command, tmp_path):
    folder = tmp_path / "runs" / "tiny" / "seed_0"
    compare([Path(config)], [0], tmp_path / "runs", train_command)
    (folder / "metrics.json").unlink()
    (folder / "last_checkpoint").write_text("iter_1.pth")
    compare([Path(config)], [0], tmp_path / "runs", train_command)
    assert (folder / "calls").read_text() == "--seed 0\n--seed 0 --resume\n"


def test_a_run_of_unknown_settings_is_not_taken_for_this_one(config, train_command, tmp_path):
    compare([Path(config)], [0], tmp_path / "runs", train_command)
    (tmp_path / "runs" / "tiny" / "seed_0" / "settings.json").unlink()
    (row,) = compare([Path(config)], [0], tmp_path / "runs", train_command)
    assert "holds a run of" in row["seeds"][0]["failed"]


def test_settings_of_a_failed_training_may_change(config, child, train_command, tmp_path):
    path = child("bad")
    compare([path], [0], tmp_path / "runs", train_command)
    (row,) = compare([path], [0], tmp_path / "runs", train_command, options=["train_cfg.max_iters=3"])
    assert "training ended with code 3" in row["seeds"][0]["failed"]


def test_names_are_as_long_as_it_takes_to_tell_configs_apart(tmp_path):
    fcos, retinanet, other = (tmp_path / name for name in ("a/fcos/r50.py", "a/retinanet/r50.py", "x.py"))
    assert list(names_of([fcos, retinanet, other])) == ["fcos/r50", "retinanet/r50", "x"]
    with pytest.raises(ValueError, match=r"x\.py is there twice"):
        names_of([other, fcos, tmp_path / "a" / ".." / "x.py"])


def test_differing_slots(config, child):
    base = load_config(config)
    body = "model = dict(neck=dict(num_extra=2), loss_bbox=dict(beta=1.0))\nrandomness = dict(seed=4)"
    assert differing_slots(base, load_config(child("x", body))) == ["randomness", "neck", "loss_bbox"]
    added = 'model = dict(bbox_weight=dict(type="IoUQuality"))'
    assert differing_slots(base, load_config(child("y", added))) == ["bbox_weight"]


def test_markdown_table():
    cost = {"parameters": 1_500_000, "flops": 2_340_000_000, "step_ms": 20.0, "latency_ms": 10.0}
    rows = [
        {
            "name": "base",
            "differs": [],
            "seeds": {0: {"AP": 0.3, "AP50": 0.5}, 1: {"AP": 0.34, "AP50": 0.5}},
            "cost": cost,
        },
        {"name": "x", "differs": ["neck"], "seeds": {0: {"AP": 0.4, "AP50": 0.6}}, "cost": {**cost, "step_ms": 30.0}},
    ]
    assert markdown_table(rows).splitlines()[2:] == [
        "| base | (base) | 0.320 ± 0.020 | 0.500 ± 0.000 | 1.50 M | 2.34 | 20 ms (1.00) | 10 ms (1.00) |",
        "| x | neck | 0.400 ± 0.000 | 0.600 ± 0.000 | 1.50 M | 2.34 | 30 ms (1.50) | 10 ms (1.00) |",
    ]


def test_costs(config, child):
    wide = child("wide", "model = dict(bbox_head=dict(stacked_convs=2))")
    costs = measure_costs({"tiny": load_config(config), "wide": load_config(wide)}, rounds=1)
    added = 2 * (16 * 16 * 9 + 16)  # one convolution in each tower
    assert costs["wide"].parameters - costs["tiny"].parameters == added
    model = build_detector(load_config(config), ("a", "b"))
    assert costs["tiny"].parameters == sum(p.numel() for p in model.parameters())
    # Two operations for each weight but the bias, at each cell of the levels of a 64-pixel image.
    cells = sum(h * w for h, w in model(torch.zeros(1, 3, 64, 64)).level_sizes)
    assert costs["wide"].flops - costs["tiny"].flops == 2 * 2 * 16 * 16 * 9 * cells
    assert all(cost.step_ms > cost.latency_ms / 100 > 0 for cost in costs.values())


def test_the_same_images_for_every_detector(config, child, monkeypatch):
    """Random flips and colours, too: the pipeline of the tiny config has both."""
    batches = []

    class Spy(cost._Subject):
        def __init__(self, *args):
            super().__init__(*args)
            batches.append(torch.stack(self.batch["inputs"]))

    monkeypatch.setattr(cost, "_Subject", Spy)
    measure_costs({"a": load_config(config), "b": load_config(config)}, rounds=1)
    assert torch.equal(*batches)


def test_tool(config, child, command, tmp_path):
    """The real training, two seeds of it, and the table of both."""
    focus = child("focus")
    words = ["compare.py", config, str(focus), "--seeds", "5", "--rounds", "1", "--work-dir", str(tmp_path / "runs")]
    process = command(*words)
    output = process.communicate(timeout=200)[0]
    assert process.returncode == 0, output
    rows = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert [row["name"] for row in rows] == ["tiny", "focus"]
    assert all(0 <= row["seeds"]["5"]["AP"] <= 1 for row in rows)
    assert all(row["cost"]["parameters"] > 1000 for row in rows)
    table = (tmp_path / "runs" / "results.md").read_text()
    assert table.strip() in output
    assert table.count("\n") == 4
