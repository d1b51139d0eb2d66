"""How a training begins: in a work dir that is free, or with the run that is there."""

import runpy
from pathlib import Path

import pytest

from rdet.engine import timed_loop

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--cfg-options", "train_dataloader.num_workers=0", "default_hooks.checkpoint.interval=1", "param_scheduler=[]"]


@pytest.fixture
def train(config, tmp_path, monkeypatch, capsys):
    """Trains in a work dir by the tool, up to an iteration; returns its code and what it wrote to stderr."""

    def train(iterations: int, *options: str, work_dir: str = "run") -> tuple[int, str]:
        words = ["train.py", config, "--work-dir", str(tmp_path / work_dir), *options]
        monkeypatch.setattr("sys.argv", [*words, *SHORT, f"train_cfg.max_iters={iterations}"])
        code = 0
        try:
            runpy.run_path(str(ROOT / "tools/train.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err

    return train


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


def test_a_run_is_not_mixed_with_another(train, tmp_path):
    assert train(2) == (0, "")
    run = tmp_path / "run"
    (run / "best_coco_bbox_mAP_iter_2.pth").touch()
    (run / "pretrained.pth").touch()  # the user's own
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    code, said = train(1)
    assert code == 1
    assert said == (
        f"error: {run} holds a run (best_coco_bbox_mAP_iter_2.pth, iter_1.pth, ...); go on with --resume, start anew "
        "with --overwrite, which removes its checkpoints, or take another --work-dir\n"
    )
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before

    assert train(1, "--overwrite")[0] == 0
    assert checkpoints(run) == ["iter_1.pth", "pretrained.pth"]
    assert len([path for path in run.iterdir() if path.is_dir()]) >= 1
    assert train(1, work_dir="other")[0] == 0


def test_auto_starts_or_goes_on(train, tmp_path):
    assert train(1, "--resume", "auto")[0] == 0
    assert train(2, "--resume", "auto")[0] == 0
    assert checkpoints(tmp_path / "run") == ["iter_1.pth", "iter_2.pth"]
    code, said = train(2, "--resume", work_dir="empty")
    assert code == 1
    assert "nothing to resume in" in said


def test_a_start_of_torchrun_overwrites_no_attempt_before(train, tmp_path, monkeypatch):
    assert train(1)[0] == 0
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(1, "--overwrite")[0] == 1
    assert checkpoints(tmp_path / "run") == ["iter_1.pth"]


def test_to_go_on_and_to_start_anew_exclude_each_other(train):
    code, said = train(1, "--overwrite", "--resume")
    assert code == 2
    assert "--overwrite starts anew and --resume goes on; leave one out" in said


def test_minutes_in_place_of_iterations(train, tmp_path, monkeypatch):
    """By a clock on which each look at it takes two seconds: more steps than the one iteration of the config."""
    seconds = iter(range(0, 100_000, 2))
    monkeypatch.setitem(timed_loop._CLOCKS, "wall", lambda: float(next(seconds)))
    assert train(1, "--minutes", "1")[0] == 0
    written = [int(name[5:-4]) for name in checkpoints(tmp_path / "run") if name.startswith("iter_")]
    assert 5 < max(written) < 30
    assert next(seconds) == pytest.approx(60, abs=10)
