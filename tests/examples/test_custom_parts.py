"""The tutorial's file, outside of the package, trains and is tested from its config."""

import json
from pathlib import Path

import pytest
import torch
from forked import Forked

from rdet.datasets.synthetic import make_synthetic_coco
from rdet.models.losses.focal_loss import FocalLoss
from rdet.structures import DensePredictions
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.match_batch import MatchBatch

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "custom_parts"


@pytest.fixture
def my_parts(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import my_parts

    return my_parts


def test_it_trains_and_is_tested(tmp_path):
    pytest.importorskip("timm")
    make_synthetic_coco(tmp_path / "data", 12, 5, 128, 0)
    options = [
        f"data_root={tmp_path / 'data'}",
        "model.backbone.weights=None",
        "model.backbone.frozen_stages=0",
        "model.backbone.norm_eval=False",
    ]

    def run(tool, *words):
        words = [str(EXAMPLE / "my_detector.py"), *words]
        process = Forked(ROOT / "tools" / tool, words, tmp_path, [{"PYTHONPATH": str(EXAMPLE)}])
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    run("train.py", "--cfg-options", *options, "train_cfg.max_iters=12", "default_hooks.logger.interval=1")
    work_dir = tmp_path / "work_dirs" / "my_detector"
    (scalars,) = work_dir.glob("*/vis_data/scalars.json")
    losses = [row["loss"] for row in map(json.loads, scalars.read_text().splitlines()) if "loss" in row]
    assert len(losses) == 12
    assert sum(losses[-4:]) < sum(losses[:4])
    checkpoint = (work_dir / "last_checkpoint").read_text()
    assert "Average Precision" in run("test.py", checkpoint, "--cfg-options", *options)


def test_assigner(my_parts):
    priors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 20], [0, 0, 100, 100], [500, 500, 510, 510]])
    boxes = torch.tensor([[0.0, 0, 12, 12], [0, 0, 90, 80]])
    ignored = torch.tensor([[490.0, 490, 520, 520]])
    assigner = my_parts.SameSizeAssigner()
    assert assigner(priors, boxes).tolist() == [0, BACKGROUND, 1, BACKGROUND]
    assert assigner(priors, boxes[:0]).tolist() == [BACKGROUND] * 4
    truth = GroundTruth(boxes, torch.tensor([0, 0]), [2], ignored, [1], [(600, 600)], [(600, 600)])
    predictions = DensePredictions(torch.zeros(1, 4, 1), torch.zeros(1, 4, 4), [(2, 2)])
    batch = MatchBatch(predictions, priors, truth, None, lambda *_: None, lambda logits: logits)
    matches = assigner.match(batch)
    assert (matches.prior.tolist(), matches.gt_index.tolist(), matches.ignored.tolist()) == ([0, 2], [0, 1], [3])


def test_loss_is_the_focal_loss_without_epsilon(my_parts):
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, BACKGROUND, IGNORE, 2])
    torch.testing.assert_close(my_parts.PolyFocalLoss(epsilon=0.0)(logits, labels), FocalLoss()(logits, labels))
    more = my_parts.PolyFocalLoss(epsilon=1.0, alpha=0.5)(torch.zeros(1, 1), torch.tensor([0]))
    assert more.item() == pytest.approx(0.5 * (0.25 * 0.693147 + 0.125), abs=1e-6)
