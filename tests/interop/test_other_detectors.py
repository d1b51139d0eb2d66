"""MMDetection's losses and detections with other backbones and necks, and their weights there and back.

The numbers are MMDetection 3.3's (oracle/write_other_fixtures.py), for made weights and one small image.
"""

import json
from pathlib import Path

import pytest
import torch
from made_weights import made_images, made_weights
from other_detectors import DAMPED, IMAGES, OTHERS
from parity import INPUT, ROOT, agreement, detections, loss_errors, names_of, training_step

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.mmdet_backbones import name_to_mmdet, name_to_rdet
from rdet.interop.mmdetection import from_mmdetection, to_mmdetection

EXPECTED = json.loads((Path(__file__).parent / "other_detectors.json").read_text())


@pytest.mark.parametrize("name", OTHERS)
def test_losses_detections_and_weights(name):
    if name.endswith(("regnet", "pvt")):
        pytest.importorskip("timm")
    other, expected = OTHERS[name], EXPECTED[name]
    path = ROOT / f"configs/{other.family.lower()}/r50_fpn_1x_coco_mmdet.py"
    weights = {} if "model.backbone" in other.ours else {"model.backbone.weights": None}
    model = build_detector(load_config(path, {**weights, **other.ours, **INPUT}), tuple(map(str, range(80))))
    shapes = {key: tuple(value.shape) for key, value in to_mmdetection(model.state_dict(), other.family).items()}
    assert names_of(shapes) == expected["names_and_shapes"]
    theirs = made_weights(shapes, damped=DAMPED.get(name, ("bn3", "downsample")))
    state, architecture = from_mmdetection(theirs)
    assert str(architecture).startswith(f"{other.family} with {other.name}, ")
    model.load_state_dict(state)
    back = to_mmdetection(model.state_dict(), other.family)
    assert all(torch.equal(back[key].to(value.dtype), value) for key, value in theirs.items())
    images = made_images(IMAGES)
    errors = loss_errors(training_step(model, images), expected["losses"], other.family)
    assert max(errors.values()) <= 1e-5, errors
    assert agreement(detections(model, images)[0], expected["predictions"]).complete


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        ("HRNet", "stage4.2.fuse_layers.3.0.2.0.weight", "net.stage4.2.fuse_layers.3.0.2.0.weight"),
        ("RegNet", "layer3.14.bn2.running_var", "net.s3.b15.conv2.bn.running_var"),
        ("PVTv2", "layers.2.1.5.attn.sr.bias", "net.stages_2.blocks.5.attn.sr.bias"),
        ("Res2Net", "stem.7.running_mean", "bn1.running_mean"),
        ("ResNet", "layer2.0.conv2.conv_offset.bias", "layer2.0.conv2.conv_offset.bias"),
    ],
)
def test_names_go_there_and_back(kind, theirs, ours):
    assert name_to_rdet(f"backbone.{theirs}", kind) == f"backbone.{ours}"
    assert name_to_mmdet(f"backbone.{ours}", kind) == f"backbone.{theirs}"
    assert name_to_rdet("backbone.head.weight", kind) is None
