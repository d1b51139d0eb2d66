"""The repository's own configs load, build and say what they are."""

import pytest
import torch
from written_config import CONFIGS

from rdet.apis.build import build_detector
from rdet.config import TOP_LEVEL_KEYS, load_config

EXPERIMENTS = sorted(path for path in CONFIGS.rglob("*.py") if "_base_" not in path.parts)
# Rows of the paper are built, and take a training step, in tests/analysis/paper.
BUILT_HERE = [path for path in EXPERIMENTS if path.parent.parent.name != "paper" or path.parent.name == "troubles"]
BUILT_HERE = [path for path in BUILT_HERE if path.parent.name != "peers"]  # tests/models/test_torchvision_detector.py
pytestmark = pytest.mark.usefixtures("no_custom_imports")


def name_of(path):
    return str(path.relative_to(CONFIGS))


@pytest.mark.parametrize("path", BUILT_HERE, ids=name_of)
def test_config_loads_and_its_model_builds(path):
    cfg = load_config(path, {"model.backbone.weights": None})
    assert set(cfg) <= TOP_LEVEL_KEYS
    classes = cfg.model.get("num_classes") or 7
    side = cfg.model.anchor_generator.get("image_size", 64)
    with torch.device("meta"):
        model = build_detector(cfg, tuple(map(str, range(classes)))).eval()
        for part in (model.backbone, model.bbox_head):
            if hasattr(part, "autocast"):
                part.autocast = True  # tensors without data have no precision to switch off
        predictions = model(torch.empty(1, 3, side, side))
        priors = len(model.anchor_generator(predictions.level_sizes, "meta"))
    assert predictions.level_sizes == [(-(-side // stride),) * 2 for stride in model.neck.strides]
    assert predictions.logits.shape == (1, priors, classes)
    assert predictions.deltas.shape == (1, priors, model.bbox_coder.box_dim)
    has_quality = "loss_quality" in cfg.model or "loss_obj" in cfg.model
    assert (predictions.quality_logits is not None) == has_quality


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name_of)
def test_first_lines_say_what_it_is(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert all(len(line) <= 120 for line in lines)


def test_there_are_configs():
    assert len(EXPERIMENTS) >= 10
