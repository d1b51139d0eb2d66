"""Checkpoints of MMDetection become detectors of rdet by themselves."""

import json
from pathlib import Path

import pytest
import torch
from made_weights import made_images, made_weights
from mmdet_states import FAMILIES, weights
from parity import INPUT, Source, agreement, detections
from saved_states import detect, small

from rdet.apis.inference import init_detector
from rdet.interop.coco import CLASSES
from rdet.models.dense_heads.tood_anchor_head import TOODAnchorHead
from rdet.models.dense_heads.tood_head import displaced_corners

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("family", FAMILIES)
def test_mmdetections_checkpoint_is_a_detector_by_itself(family, save):
    state = weights(small(family))
    model = init_detector(save(state, dataset_meta={"CLASSES": CLASSES, "palette": []}))
    assert model.classes == CLASSES
    assert not model.training
    assert model.cfg.model.backbone.depth == 18
    own = model.state_dict()
    assert torch.equal(own["neck.fpn_convs.0.weight"], state["neck.fpn_convs.0.conv.weight"])
    assert len(detect(model, torch.zeros(3, 64, 64, dtype=torch.uint8)).labels) <= 100


@pytest.mark.parametrize("name", ["retinanet", "fcos_first_head", "gfl"])
def test_mmdetections_numbers(name, save):
    """All detections of a converted checkpoint with made weights, as MMDetection 3.3 gives them.

    In one image: the parity tests have the others, with the same weights.
    """
    expected = json.loads((ROOT / "tests/interop/fixtures" / f"{name}.json").read_text())
    source = Source.of(expected["config"])
    made = made_weights(source.shapes(source.detector()))
    model = init_detector(save(made, f"{source.name}.pth"), cfg_options=INPUT)
    (found,) = detections(model, made_images()[:1])
    assert agreement(found, expected["predictions"][0]).matched == 100
    assert agreement(found, expected["predictions"][0]).complete


def test_tood_with_anchors(save):
    state = weights(small("TOOD"))
    text = "model = dict(bbox_head=dict(anchor_type='anchor_based'))"
    for path in (save(state, cfg=text), save(state, "tood_r50_fpn_anchor_based_1x_coco-b776c134.pth")):
        assert init_detector(path).cfg.model.bbox_head.type == "TOODAnchorHead"
    assert init_detector(save(state)).cfg.model.bbox_head.type == "TOODHead"


@pytest.mark.parametrize(
    ("meta", "count", "classes"),
    [
        ({"dataset_meta": {"classes": ("a", "b")}}, 2, ("a", "b")),
        ({"dataset_meta": {"CLASSES": ["a", "b"]}}, 2, ("a", "b")),
        ({"CLASSES": ("a", "b")}, 2, ("a", "b")),
        ({"CLASSES": "a"}, 1, ("a",)),
        ({}, 80, CLASSES),
        ({}, 2, ("0", "1")),
        ({"CLASSES": ("a", "b", "c")}, 2, ("0", "1")),
    ],
    ids=["3.x", "early 3.x", "2.x", "one of 2.x", "COCO", "unknown", "another number"],
)
def test_classes(meta, count, classes, save):
    assert init_detector(save(weights(small("RetinaNet", classes=count)), **meta)).classes == classes


def test_tood_on_anchors(save):
    head = "anchor_type='anchor_based', bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2])"
    anchors = "anchor_generator=dict(ratios=[1.0], octave_base_scale=6, scales_per_octave=1)"
    model = init_detector(save(weights(small("TOOD")), cfg=f"model = dict(bbox_head=dict({head}, {anchors}))"))
    assert isinstance(model.bbox_head, TOODAnchorHead)
    assert (model.bbox_head.base_size, model.bbox_head.target_stds) == (6, (0.1, 0.1, 0.2, 0.2))
    assert model.bbox_head.displace is displaced_corners
    priors = model.anchor_generator([(1, 1)] * 5)
    assert (priors[0, 2] - priors[0, 0]).item() == 6 * 8
    assert detect(model, torch.zeros(3, 64, 64, dtype=torch.uint8)).bboxes.isfinite().all()
