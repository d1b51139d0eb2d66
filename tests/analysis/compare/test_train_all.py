"""All trainings of a comparison, with a function in the place of the processes."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from rdet.analysis.alone import alone
from rdet.analysis.compare.places import Children, places
from rdet.analysis.compare.run import rows_of, train_all
from rdet.analysis.compare.trial import Trial, last_metrics
from rdet.analysis.compare.variant import variants_of
from rdet.errors import ComparisonError, Interrupted


@pytest.fixture
def child(config, tmp_path):
    """Writes a config that differs from the tiny one in one slot."""

    def write(name, body="model = dict(loss_cls=dict(gamma=1.0))"):
        path = tmp_path / f"{name}.py"
        path.write_text(f'_base_ = "./tiny.py"\n{body}\n')
        return path

    return write


class Trainer:
    """Stands for ``rdet train``: remembers its calls, and fails for the config "bad"."""

    def __init__(self):
        self.calls = []
        self.environments = []
        self.at_once = self.most_at_once = 0
        self.interrupt_at = None
        self.meet: threading.Barrier | None = None  # where the first three wait for each other

    def __call__(self, command, log, environment):
        config, work_dir, seed = command[1], Path(command[3]), int(command[5])
        self.calls.append((Path(config).stem, *command[4:]))
        self.environments.append(dict(environment))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.meet is not None and len(self.calls) <= 3:
            self.meet.wait(60)
        self.at_once -= 1
        if self.interrupt_at == len(self.calls):
            (work_dir / "last_checkpoint").write_text("iter_1.pth")
            raise Interrupted(2)
        if "bad" in config:
            with log.open("a") as said:
                said.write(f"error: reason {len(self.calls)}\nends\n")
            return 3
        scalars = work_dir / "20260101" / "vis_data" / "scalars.json"
        scalars.parent.mkdir(parents=True, exist_ok=True)
        metrics = {"coco/bbox_mAP": 0.3 + seed / 10, "coco/bbox_mAP_50": 0.5, "coco/bbox_mAP_75": 0.25, "step": 2}
        scalars.write_text(json.dumps({"loss": 1.0, "step": 1}) + "\n" + json.dumps(metrics) + "\n")
        return 0


def compare(configs, seeds, work_dir, trainer, options=(), **more):
    variants = variants_of(configs, options)
    rows = rows_of(variants)
    train_all(variants, rows, seeds, work_dir, ["train"], run=trainer, **more)
    return rows


def test_every_config_is_trained_once_with_every_seed(config, child, tmp_path):
    configs, trainer, options = [Path(config), child("focus")], Trainer(), ["train_cfg.max_iters=3"]
    rows = compare(configs, [0, 2], tmp_path / "runs", trainer, options)
    assert [(row.name, row.differs) for row in rows] == [("tiny", []), ("focus", ["loss_cls"])]
    assert rows[1].seeds == {0: {"AP": 0.3, "AP50": 0.5, "AP75": 0.25}, 2: {"AP": 0.5, "AP50": 0.5, "AP75": 0.25}}
    # One after the other, all detectors with one seed first.
    assert [(name, seed) for name, _, seed, *_ in trainer.calls] == [
        ("tiny", "0"), ("focus", "0"), ("tiny", "2"), ("focus", "2"),
    ]  # fmt: skip
    assert trainer.calls[3][1:] == ("--seed", "2", "--cfg-options", "train_cfg.max_iters=3")
    assert compare(configs, [0, 2], tmp_path / "runs", trainer, options) == rows
    assert len(trainer.calls) == 4


def test_several_at_a_time_share_the_cores(config, child, tmp_path, monkeypatch):
    monkeypatch.setattr("rdet.analysis.compare.places._cards", lambda: [])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(7))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    trainer, kept = Trainer(), []
    trainer.meet = threading.Barrier(3)
    rows = compare([Path(config), child("focus")], [0, 1, 2], tmp_path / "runs", trainer, jobs=3,
                   after_each=lambda: kept.append(1))  # fmt: skip
    assert trainer.most_at_once == 3
    assert trainer.environments == [{"OMP_NUM_THREADS": "2"}] * 6
    assert len(kept) == 6
    assert [list(row.seeds) for row in rows] == [[0, 1, 2]] * 2


def test_places(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("rdet.analysis.compare.places._cards", lambda: [])
    assert places(None, 3) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert places(1, 3) == [{}]
    assert len(places(None, 100)) == 8
    monkeypatch.setattr("rdet.analysis.compare.places._cards", lambda: ["0", "GPU-7"])
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places(None, 9)] == ["0", "GPU-7"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places(3, 9)] == ["0", "GPU-7", "0"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert places(None, 9) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "GPU-7"}]


def test_a_failed_training_is_a_row_and_is_tried_again(config, child, tmp_path, capsys):
    configs, trainer = [Path(config), child("bad")], Trainer()
    good, bad = compare(configs, [0], tmp_path / "runs", trainer)
    assert good.values() == {0: 0.3}
    assert "seed 0: training ended with code 3 (reason 2); see" in bad.failures[0]
    assert "error: " in capsys.readouterr().err
    compare(configs, [0], tmp_path / "runs", trainer)
    assert [name for name, *_ in trainer.calls] == ["tiny", "bad", "bad"]


def test_an_interrupted_comparison_goes_on_where_it_was(config, child, tmp_path):
    configs, trainer = [Path(config), child("focus")], Trainer()
    trainer.interrupt_at = 2
    with pytest.raises(Interrupted):
        compare(configs, [0, 1], tmp_path / "runs", trainer)
    begun = len(trainer.calls)
    assert begun < 4
    rows = compare(configs, [0, 1], tmp_path / "runs", trainer)
    assert trainer.calls[begun] == ("focus", "--seed", "0", "--resume")
    calls = sorted((name, seed) for name, _, seed, *_ in trainer.calls)
    assert calls == [("focus", "0"), ("focus", "0"), ("focus", "1"), ("tiny", "0"), ("tiny", "1")]
    assert [row.values() for row in rows] == [{0: 0.3, 1: 0.4}] * 2


def test_a_run_of_other_or_unknown_settings_is_not_taken_for_this_one(config, child, tmp_path):
    path, work_dir, trainer = child("focus"), tmp_path / "runs", Trainer()
    compare([path], [0], work_dir, trainer)
    child("focus", "model = dict(loss_cls=dict(gamma=3.0))")
    with pytest.raises(ComparisonError, match=r"focus\.py with another model\.loss_cls\.gamma; remove the folder"):
        compare([path], [1, 0], work_dir, trainer)  # at once: seed 1 is not trained
    child("focus")
    with pytest.raises(ComparisonError, match=r"with another train_cfg\.max_iters"):
        compare([path], [0], work_dir, trainer, ["train_cfg.max_iters=3"])
    (work_dir / "focus" / "seed_0" / "settings.json").unlink()
    with pytest.raises(ComparisonError, match="holds a run of"):
        compare([path], [0], work_dir, trainer)
    assert len(trainer.calls) == 1


def test_damaged_metrics_are_a_row_too(config, child, tmp_path):
    configs, trainer = [Path(config), child("focus")], Trainer()
    compare(configs, [0], tmp_path / "runs", trainer)
    (tmp_path / "runs" / "tiny" / "seed_0" / "metrics.json").write_text('{"AP": "hi')
    tiny, focus = compare(configs, [0], tmp_path / "runs", trainer)
    assert "metrics.json is no json (line 1); remove it to evaluate anew" in tiny.failures[0]
    assert focus.values() == {0: 0.3}


def test_settings_of_a_failed_training_may_change(config, child, tmp_path):
    path, trainer = child("bad"), Trainer()
    compare([path], [0], tmp_path / "runs", trainer)
    (row,) = compare([path], [0], tmp_path / "runs", trainer, ["train_cfg.max_iters=3"])
    assert "training ended with code 3" in row.failures[0]


def test_a_run_without_evaluation(tmp_path):
    with pytest.raises(ComparisonError, match="no evaluation in its logs"):
        last_metrics(tmp_path)


def test_a_trial_runs_its_command_itself_where_nothing_else_does(config, tmp_path):
    trial = Trial(Path(config), 0, tmp_path / "trial")
    with pytest.raises(ComparisonError, match="training ended with code 7"):
        trial.run([sys.executable, "-c", "import sys; print('said'); sys.exit(7)"])
    assert (tmp_path / "trial" / "output.txt").read_text() == "said\n"


def test_one_comparison_in_a_folder(config, tmp_path):
    with alone(tmp_path / "runs", "rdet compare"), pytest.raises(ComparisonError, match="another 'rdet compare' is at"):
        compare([Path(config)], [0], tmp_path / "runs", Trainer())


def test_processes_end_together_and_none_begins_after(tmp_path):
    children, codes = Children(), []
    sleep = [sys.executable, "-S", "-c", "import time; print('here', flush=True); time.sleep(60)"]
    log = tmp_path / "log"
    thread = threading.Thread(target=lambda: codes.append(children.run(sleep, log, {"A": "b"})))
    thread.start()
    while not (log.exists() and log.read_text()):
        time.sleep(0.01)
    children.end()
    thread.join(10)
    assert codes == [-15]
    assert children.run(sleep, log, {}) == 143
