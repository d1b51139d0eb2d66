"""SSD beside MMDetection itself; skipped where it is not installed. See live.py."""

import pytest
import torch
from live import Pair, images_of, weights_of
from parity import INPUT, ROOT

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.mmdet_config import convert_config
from rdet.interop.ssd import from_ssd, to_ssd

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import CONFIGS, Oracle

# Side of the images, all of one size -> boxes in each of a batch: VGG takes its time.
SIDES = {300: (9, 0), 512: (41,)}


def images(side, seed):
    return images_of([(side, side, count) for count in SIDES[side]], seed)


@torch.no_grad()
def draw(model):
    """Weights whose maps keep their size from layer to layer, and classes with something to tell."""
    generator = torch.Generator().manual_seed(3)
    for name, each in model.named_modules():
        if isinstance(each, torch.nn.Conv2d):
            gain = {"bbox_head.cls": 0.5, "bbox_head.reg": 0.1}.get(name[:13], 2**0.5)
            each.weight.normal_(0, gain / each.weight[0].numel() ** 0.5, generator=generator)
            each.bias.uniform_(-0.1, 0.1, generator=generator)
    model.neck.l2_norm.weight.uniform_(5, 25, generator=generator)


@pytest.fixture(scope="module", params=SIDES)
def pair(request, tmp_path_factory):
    """The detector of MMDetection's config, and of rdet's that is made of it."""
    side = request.param
    oracle = Oracle(f"ssd/ssd{side}_coco")
    oracle.model.data_preprocessor.pad_size_divisor = 1
    oracle.model.bbox_head.loss_cls = None  # which MMDetection asks when it detects, and its SSD has not
    draw(oracle.model)
    state = weights_of(oracle.model)
    converted = from_ssd({}, state, "")
    cfg = load_config(ROOT / f"configs/ssd/ssd{side}_vgg16_coco_mmdet.py", {"model.backbone.weights": None, **INPUT})
    for slot in set(cfg.model) - {"data_preprocessor", "num_classes"}:
        assert converted.cfg.model[slot] == cfg.model[slot]
    path = tmp_path_factory.mktemp("converted") / "ssd.py"
    convert_config(CONFIGS / f"ssd/ssd{side}_coco.py", path)
    model = build_detector(load_config(path, {"model.backbone.weights": None, **INPUT}), tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    back = to_ssd(model.state_dict())
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())
    # Pooling and ReLU choose by what rounding leaves.
    return Pair(f"SSD{side}", oracle, model, to_ssd, limit=2e-3)


def test_losses_gradients_and_detections(pair):
    side = pair.oracle.model.bbox_head.prior_generator.input_size
    pair.compare_training(images(side, seed=11), f"{len(SIDES[side])} images")
    pair.compare_detections(images(side, seed=12)[:1], "one image")
