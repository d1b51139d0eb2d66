"""The config files that are read of MMDetection, its own among them, and the text that is written."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from interop.mmdet_sources import FAMILIES, write_source

from rdet.config import load_config
from rdet.errors import ConfigError
from rdet.interop.mmdet_config import convert_config
from rdet.interop.mmdet_config.convert import published_ap


def test_text_of_the_config(tmp_path):
    source = write_source(tmp_path, "GFL")
    (tmp_path / "metafile.yml").write_text(
        "Models:\n  - Config: configs/gfl/gfl_r50_fpn_1x.py\n    Results:\n      - Metrics:\n          box AP: 40.2\n"
    )
    out = tmp_path / "gfl.py"
    assert convert_config(source, out) == f"GFL with ResNet-50-FPN, written to {out}"
    head = [line for line in out.read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.removeprefix("#").strip() for line in head)
    assert text.startswith(f"GFL with ResNet-50-FPN, with MMDetection's numbers, converted from {source}.")
    assert f"python tools/train.py {out}" in text
    assert "MMDetection lists 40.2 box AP on val2017 for its own." in text
    for left_out in ("visualizer", "env_cfg", "log_processor", "default_scope", "model.train_cfg.debug"):
        assert left_out in text
    assert max(map(len, out.read_text().splitlines())) <= 120
    ruff = importlib.util.find_spec("ruff")
    if ruff is not None:
        command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", str(out)]
        subprocess.run(command, check=True, capture_output=True)


def test_a_config_without_a_figure_says_so(tmp_path):
    source = write_source(tmp_path, "GFL")
    assert published_ap(source) is None
    convert_config(source, tmp_path / "out.py")
    assert "# There is no figure for it." in (tmp_path / "out.py").read_text()


def test_bases_of_an_installed_mmdetection(tmp_path, monkeypatch):
    configs = tmp_path / "site" / "mmdet" / ".mim" / "configs"
    (configs / "atss").mkdir(parents=True)
    (configs.parent / "model-index.yml").write_text("Import: []\n")
    (tmp_path / "site" / "mmdet" / "__init__.py").write_text("raise ImportError('not to be imported')\n")
    base = write_source(configs / "atss", "ATSS")
    source = tmp_path / "mine.py"
    source.write_text(f"_base_ = 'mmdet::atss/{base.name}'\nmodel = dict(bbox_head=dict(num_classes=3))\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    convert_config(source, tmp_path / "out.py")
    assert load_config(tmp_path / "out.py").model.num_classes == 3


def _configs_of_mmdetection():
    folder = os.environ.get("RDET_MMDET_CONFIGS")
    if folder is None:
        spec = importlib.util.find_spec("mmdet")
        if spec is None or spec.origin is None:
            return []
        folder = Path(spec.origin).parent / ".mim" / "configs"
    families = [*(family.lower() for family in FAMILIES), "ghm", "paa", "ssd", "yolo", "yolof"]
    files = sorted(path for family in families for path in (Path(folder) / family).glob("*.py"))
    return [path for path in files if path.name != "retinanet_tta.py"]  # which has no model


@pytest.mark.timeout(600)
def test_all_configs_of_mmdetection(tmp_path):
    files = _configs_of_mmdetection()
    if not files:
        pytest.skip("needs MMDetection's configs: install mmdet, or set RDET_MMDET_CONFIGS")
    refused = {}
    for path in files:
        out = tmp_path / path.name
        try:
            convert_config(path, out)
        except ConfigError as error:
            refused[path.stem] = str(error).removeprefix(f"{path}: ")
        else:
            load_config(out)
    assert list(refused) == ["ssdlite_mobilenetv2-scratch_8xb24-600e_coco"]
    assert "model.backbone: SSDLite with MobileNetV2 is not in rdet" in refused.popitem()[1]
    assert len(files) == 90
