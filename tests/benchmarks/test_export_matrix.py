"""What benchmarks/export_matrix.py compares, and what is left of it when it is ended."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import export_matrix
from exported_families import FAMILIES, detector

from rdet.deploy.tensor_detector import TensorDetector


@pytest.mark.parametrize("quality", ["without", "product"])
def test_random_weights_give_scores_that_differ_by_more_than_the_tolerance(quality, monkeypatch):
    family = "FCOS" if quality == "product" else "RetinaNet"
    monkeypatch.setitem(FAMILIES[family], "loss_cls", {"type": "FocalLoss"})
    model = detector(family, **({"quality_score": "product"} if quality == "product" else {}))
    for name, bias in model.bbox_head.named_parameters():
        if name in ("conv_cls.bias", "conv_quality.bias"):
            torch.nn.init.constant_(bias, -4.6)
    export_matrix.spread_out(model)
    images = torch.randint(256, (1, 3, 352, 352), generator=torch.Generator().manual_seed(0)).byte()
    with torch.no_grad():
        scores = TensorDetector(model, "decoded")(images, torch.tensor([[352, 352]]))[1]
    best = scores.topk(100).values
    assert best.min() > 0.005
    assert best.max() - best.min() > 0.005


def test_a_run_that_is_ended_says_so_and_keeps_its_rows(monkeypatch, tmp_path, capsys):
    def rows(*_):
        yield {"head": "raw"}
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(export_matrix, "detectors", lambda args: [("a", True, None)])
    monkeypatch.setattr(export_matrix, "rows_of", rows)
    monkeypatch.setattr(sys, "argv", ["export_matrix.py", "a.pth", "--out", str(tmp_path / "a.json")])
    with pytest.raises(SystemExit) as end:
        export_matrix.main()
    assert end.value.code == 143
    assert "stopped by SIGTERM; rows: 1" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["rows"] == [{"head": "raw"}]
