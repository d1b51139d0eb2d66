"""What a run leaves in its work dir to be looked at."""

import csv
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rdet.datasets.box_statistics import BoxStatistics
from rdet.report.hooks import evaluation_plots
from rdet.report.hooks.batches_hook import BatchesHook
from rdet.report.hooks.evaluation_plots import draw_evaluation
from rdet.report.hooks.labels_hook import _draw as draw_labels
from rdet.report.hooks.picture_hook import PictureHook
from rdet.report.hooks.results_hook import ResultsHook

HOOKS = {
    f"default_hooks__{name}": {"type": f"{name.title()}Hook"} for name in ("results", "labels", "batches", "curves")
}
PICTURES = ["confusion_matrix.png", "labels.png", "pr_curves.png", "results.png"]
BATCHES = [f"{part}_batch{i}.jpg" for part in ("train", "val") for i in range(3)]


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "results.csv").read_text().splitlines()))


def pictures_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def test_a_run_and_its_continuation(make_runner, tmp_path):
    run = tmp_path / "run"
    options = {**HOOKS, "train_cfg__val_interval": 2, "default_hooks__checkpoint__interval": 2}
    make_runner(train_cfg__max_iters=4, **options).train()
    assert pictures_of(run) == sorted([*PICTURES, *BATCHES])
    for name in pictures_of(run):
        with Image.open(run / name) as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 5  # something is on it
    rows = rows_of(run)
    assert [row["iter"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["coco/bbox_mAP"]) for row in rows] == [False, True, False, True]
    (log,) = run.glob("*/vis_data/scalars.json")
    for line in map(json.loads, log.read_text().splitlines()):
        row = rows[line["step"] - 1]
        for name in set(line) & {"loss", "loss_cls", "lr", "coco/bbox_mAP", "coco/bbox_AR@100"}:
            assert float(row[name]) == pytest.approx(line[name], rel=1e-6)

    # A run that was killed after its last checkpoint: rows of steps that come again are written again.
    (run / "iter_4.pth").unlink()
    before = (run / "train_batch0.jpg").read_bytes()
    make_runner(train_cfg__max_iters=5, resume=True, **options).train()
    again = rows_of(run)
    assert [row["iter"] for row in again] == ["1", "2", "3", "4", "5"]
    assert again[:2] == rows[:2]
    assert again[3]["loss"] == rows[3]["loss"]
    assert (run / "train_batch0.jpg").read_bytes() == before  # of the first batches of the run
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_a_run_that_a_hook_ends_has_the_pictures_of_its_last_evaluation(make_runner, tmp_path):
    stop = {"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP", "patience": 1, "min_delta": 0.9}
    runner = make_runner(train_cfg__max_iters=40, train_cfg__val_interval=1, custom_hooks=[stop], **HOOKS)
    runner.train()
    assert runner.iter == 2  # of 40, and no picture before was drawn: there was no time
    assert pictures_of(tmp_path / "run") == sorted([*PICTURES, *BATCHES[:2], *BATCHES[3:]])


def test_a_table_goes_on_elsewhere_and_is_kept_where_it_cannot_be_read(make_runner, tmp_path, capfd):
    options = {"default_hooks__results": {"type": "ResultsHook"}, "default_hooks__checkpoint__interval": 1}
    make_runner(train_cfg__max_iters=2, param_scheduler=[], **options).train()
    first = rows_of(tmp_path / "run")
    options |= {"resume": True, "load_from": str(tmp_path / "run/iter_1.pth"), "param_scheduler": []}
    make_runner(train_cfg__max_iters=2, work_dir="other", **options).train()
    assert [row["iter"] for row in rows_of(tmp_path / "other")] == ["1", "2"]
    assert rows_of(tmp_path / "other")[0] == first[0]

    table = tmp_path / "run/results.csv"
    table.write_text(edited := table.read_text() + "a note of mine,2\n")
    capfd.readouterr()
    make_runner(train_cfg__max_iters=2, **options).train()
    assert (tmp_path / "run/results_1.csv").read_text() == edited
    assert [row["iter"] for row in rows_of(tmp_path / "run")] == ["2"]
    assert "it is results_1.csv now; the table begins at iteration 2" in capfd.readouterr().out


def test_names_that_no_font_has_are_numbers_in_plots_too(tmp_path, monkeypatch):
    pytest.importorskip("hotcoco")
    shown = {}
    monkeypatch.setattr(evaluation_plots, "plot_confusion_matrix", lambda _, names, title: shown.update(matrix=names))
    monkeypatch.setattr(evaluation_plots, "save_plot", lambda path, figure, dpi: shown.setdefault("curves", figure))
    monkeypatch.setattr("rdet.visualization.plots.labels.plot_labels", lambda counts, *_: shown.update(labels=counts))
    monkeypatch.setattr("rdet.visualization.plots.save.save_plot", lambda *_, dpi: None)
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "\U00012000"}, {"id": 2, "name": "cat"}],
    }
    draw_evaluation(tmp_path, truth, {1: np.array([[0, 0, 4, 4, 0.9, 1.0]])}, 100)
    of = BoxStatistics({"\U00012000": 1, "cat": 0}, np.ones((1, 2)), np.ones((1, 2)))
    monkeypatch.setattr("rdet.report.hooks.labels_hook.box_statistics", lambda dataset: of)
    draw_labels(tmp_path / "labels.png", {"train": None})
    assert [text.get_text() for text in shown.pop("curves").legends[0].get_texts()] == ["#0 1.00"]
    assert shown == {"matrix": ["#0", "cat"], "labels": {"train": {"#0": 1, "cat": 0}}}


def test_a_long_table_is_written_seldom_and_before_each_checkpoint(tmp_path, monkeypatch):
    now, written = [0.0], []

    def write(path, rows):
        now[0] += 1.0
        written.append(len(rows))

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("rdet.report.hooks.results_hook._write", write)
    run = SimpleNamespace(work_dir=str(tmp_path), iter=0, train_dataloader=[0], logger=logging.getLogger("nobody"))
    hook = ResultsHook()
    hook.before_run(run)
    hook.before_train(run)
    for step in range(1, 401):
        hook.after_log(run, step, {"loss": 1.0})
        now[0] += 1.0
        if step == 100:
            hook.before_save_checkpoint(run, {})
            hook.before_save_checkpoint(run, {})  # there is nothing new
    assert written == [1, 100, 301]  # 200 times as long as a write took after that


def test_what_is_turned_off_is_not_written(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=2, train_cfg__val_interval=2).train()
    assert pictures_of(tmp_path / "run") == []
    assert not (tmp_path / "run/results.csv").exists()


def test_a_picture_that_cannot_be_drawn_ends_no_run(make_runner, tmp_path, monkeypatch, capfd):
    def broken(*_):
        raise OSError(28, "No space left on device", "sheet.jpg")

    monkeypatch.setattr(BatchesHook, "_inputs", broken)
    runner = make_runner(train_cfg__max_iters=3, default_hooks__batches={"type": "BatchesHook"})
    runner.train()
    said = capfd.readouterr().out + capfd.readouterr().err
    assert runner.iter == 3
    assert said.count("cannot be drawn") <= 1
    assert "train_batch0.jpg cannot be drawn (sheet.jpg: No space left on device" in said


def test_what_stands_in_the_place_of_one_file_keeps_no_other_from_being_written(make_runner, tmp_path, capfd):
    run = tmp_path / "run"
    for name in ("results.png", "train_batch1.jpg", "labels.png"):
        (run / name).mkdir(parents=True)
    make_runner(train_cfg__max_iters=2, train_cfg__val_interval=2, **HOOKS).train()
    said = capfd.readouterr().out
    assert [said.count(f"{name} cannot be drawn") for name in ("results.png", "train_batch1.jpg", "labels.png")] == [
        1
    ] * 3
    assert [row["iter"] for row in rows_of(run)] == ["1", "2"]
    assert {path.name for path in run.iterdir() if path.is_file()} >= {
        "train_batch0.jpg", "val_batch0.jpg", "val_batch2.jpg", "pr_curves.png", "confusion_matrix.png",
    }  # fmt: skip
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_without_hotcoco_curves_are_left_out(make_runner, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    runner = make_runner(
        train_cfg__max_iters=2,
        train_cfg__val_interval=2,
        val_evaluator={"type": "CocoMetric", "backend": "pycocotools"},
        default_hooks__curves={"type": "CurvesHook"},
    )
    runner.train()
    assert pictures_of(tmp_path / "run") == []


def test_pictures_take_a_small_share_of_the_time(monkeypatch):
    class Run:
        work_dir = "."
        logger = logging.getLogger("nobody")

    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    hook = PictureHook()
    hook.before_run(Run)

    def slow(_):
        now[0] += 3.0

    assert not hook.has_time()
    spent = 0
    for step in range(100_000):
        now[0] = max(now[0], step * 0.1)
        if hook.has_time():
            hook.draw(Run, "picture.png", slow)
            spent += 1
    assert 10 <= spent <= 0.005 * now[0] / 3.0 + 1
