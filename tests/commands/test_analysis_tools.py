"""The tools of tools/analysis_tools, and the record that `rdet test --out` leaves for a report."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from rdet.analysis.operations import operations_at, operations_on_images
from rdet.analysis.speed import measure_speed
from rdet.analysis.speed import test_batches as load_batches
from rdet.analysis.train_logs import read_log
from rdet.apis.build import build_datasets, build_detector
from rdet.apis.run_record import read_record, record_of, record_path, write_record
from rdet.config import load_config
from rdet.errors import MissingFileError, ResultsError, UnknownNameError
from rdet.report.make import find_truth

ROOT = Path(__file__).resolve().parents[2]


def run_tool(name: str, monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
    importlib.import_module(f"rdet.commands.analysis_tools.{name}").main()


def test_every_tool_is_a_door_to_a_command():
    tools = {path.stem for path in (ROOT / "tools" / "analysis_tools").glob("*.py")}
    doors = {path.stem for path in (ROOT / "rdet" / "commands" / "analysis_tools").glob("[!_]*.py")}
    assert tools >= doors == {"analyze_logs", "get_flops", "benchmark", "confusion_matrix"}


@pytest.fixture
def log(tmp_path) -> Path:
    folder = tmp_path / "run" / "1" / "vis_data"
    folder.mkdir(parents=True)
    lines = [{"loss": 3 - i, "time": t, "step": 10 * i, "iter": 10 * i} for i, t in enumerate([9.0, 0.1, 0.3], 1)]
    text = "\n".join(json.dumps(line) for line in [*lines, {"coco/bbox_mAP": 0.5, "time": 7.0, "step": 30}])
    (folder / "scalars.json").write_text(text + '\n{"loss": 0.', encoding="utf-8")  # a killed run
    return tmp_path / "run"


def test_a_log_gives_curves_and_times_without_the_first_line(log, tmp_path, monkeypatch, capsys):
    found = read_log(log)
    assert [values.tolist() for values in found.series("loss")] == [[10, 20, 30], [2, 1, 0]]
    assert [values.tolist() for values in found.series("bbox_mAP")] == [[30], [0.5]]
    assert found.iteration_times().tolist() == [0.1, 0.3]
    assert found.iteration_times(outliers=True).tolist() == [9, 0.1, 0.3]
    with pytest.raises(UnknownNameError, match="has no 'los'. Did you mean 'loss'"):
        found.series("los")
    run_tool("analyze_logs", monkeypatch, "plot_curve", log, "--keys", "loss", "bbox_mAP", "--out", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    run_tool("analyze_logs", monkeypatch, "cal_train_time", log)
    assert "mean 0.2000 s an iteration" in capsys.readouterr().out


def test_logs_that_are_none(tmp_path):
    with pytest.raises(MissingFileError, match="has no log of a training"):
        read_log(tmp_path)
    (tmp_path / "scalars.json").write_text("x")
    with pytest.raises(ResultsError, match="has no line of numbers"):
        read_log(tmp_path)


def test_operations_grow_with_the_pixels(config, monkeypatch, capsys):
    cfg = load_config(config)
    small, images = operations_at(cfg, (64, 64)), operations_on_images(cfg, 3)
    assert (images.images, images.size, images.flops) == (3, (64, 64), small.flops)
    assert operations_at(cfg, (128, 128)).flops == 4 * small.flops
    assert small.parameters == sum(p.numel() for p in build_detector(cfg, ("a", "b")).parameters())
    run_tool("get_flops", monkeypatch, config, "--shape", 64)
    assert f"{small.flops / 1e9:.3f} GFLOPs (64 x 64 pixels" in capsys.readouterr().out


def test_speed_counts_no_call_of_the_warm_up(config, monkeypatch, capsys):
    cfg = load_config(config)
    dataset = build_datasets(cfg, ("test",))["test"]
    batches = load_batches(dataset, 2, 10)
    assert [len(batch["inputs"]) for batch in batches] == [2] * 10
    found = measure_speed(build_detector(cfg, ("a", "b")), batches[:4], warmup=1)
    assert (len(found.seconds), found.images) == (3, 2)
    assert found.memory > 2**20
    with pytest.raises(ValueError, match="1 calls, of which 1 are not counted"):
        measure_speed(build_detector(cfg, ("a", "b")), batches[:1], warmup=1)
    run_tool("benchmark", monkeypatch, config, "--max-iter", 2, "--num-warmup", 1, "--device", "cpu")
    assert "images a second" in capsys.readouterr().out


def test_a_record_says_where_detections_came_from(make_runner, config, tmp_path, monkeypatch, capsys):
    pytest.importorskip("hotcoco")
    results = tmp_path / "detections.json"
    runner = make_runner("test", val_evaluator={"type": "CocoMetric", "outfile_prefix": str(results)})
    runner.test()
    write_record(record_path(results), record_of(runner, config, ["model.num_classes=2"], "weights.pth", False))
    record = read_record(results)
    assert (record.config, record.images, record.cfg_options) == (config, 13, ["model.num_classes=2"])
    assert 0 < record.seconds < 10
    assert "images a second" in record.facts()["speed"]
    truth = find_truth([results])
    assert len(truth.content["images"]) == 13
    assert all(path.is_file() for path in truth.paths.values())
    run_tool("confusion_matrix", monkeypatch, config, results, tmp_path / "m", "--score-thr", 0)
    assert (tmp_path / "m" / "confusion_matrix.png").stat().st_size > 1000
    record_path(results).write_text("{}")
    with pytest.raises(ResultsError, match="it has no config; remove it, and give the truth with --ann or --config"):
        find_truth([results])
