"""The built wheel, outside of the repository: the command, the configs as its data, a whole training."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rdet.config_files import CONFIGS, config_names
from rdet.datasets.synthetic import make_synthetic_coco

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
_base_ = "rdet::quickstart/retinanet_lite0_fpn_quickstart.py"
data_root = "{data}/"
model = dict(
    backbone=dict(_delete_=True, type="ResNet", depth=18, weights=None, frozen_stages=0, norm_eval=False),
    neck=dict(out_channels=16),
    bbox_head=dict(feat_channels=16, stacked_convs=1, norm_cfg=None),
)
train_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1, save_best=None))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Folder that the wheel is installed into, without its dependencies."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("rdet", "configs", "requirements"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(target)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(target)
    return target


@pytest.fixture
def rdet(installed, tmp_path):
    """Runs the installed command in a folder that is not the repository's."""

    def run(*words: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-m", "rdet", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=250,
        )

    return run


def test_wheel_has_all_configs_and_the_command(installed):
    there = {path.relative_to(installed / "rdet/configs") for path in (installed / "rdet/configs").rglob("*.py")}
    assert there == {path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.py")}
    assert "rdet = rdet.__main__:main" in next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert not (installed / "configs").exists()


def test_configs_are_found_in_the_package(rdet, installed):
    assert rdet("configs").stdout.split() == config_names()
    shown = rdet("print-config", "retinanet/r50_fpn_1x_coco", "--changes")
    assert f"# What {installed}/rdet/configs/retinanet/r50_fpn_1x_coco.py changes" in shown.stdout, shown.stderr


def test_train_test_and_infer_from_another_folder(rdet, tmp_path):
    make_synthetic_coco(tmp_path / "data", 2, 1, 64, 0)
    (tmp_path / "mine.py").write_text(CONFIG.format(data=tmp_path / "data"))
    for words in (
        ("train", "mine.py", "--data", "data", "--epochs", "1", "--work-dir", "run"),
        ("test", "run/data/config.py", "run/epoch_1.pth", "--work-dir", "tested", "--out", "found.json"),
        ("infer", "run/epoch_1.pth", "data/val", "--out-dir", "pictures", "--device", "cpu"),
        ("convert", "data", "yolo", "--to", "yolo"),
    ):
        done = rdet(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "found.json").is_file()
    assert (tmp_path / "pictures/detections.json").is_file()
    assert (tmp_path / "yolo/data.yaml").is_file()
