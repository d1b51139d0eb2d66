"""Checkpoints of Detectron2 and torchvision, and of which project one is."""

import pickle

import pytest
import torch
from mmdet_states import FAMILIES
from saved_states import small
from test_detectron2 import detectron2_state
from torchvision.models import detection

from rdet.apis.inference import init_detector
from rdet.interop import convert
from rdet.interop.coco import CLASSES, classes_by_id
from rdet.interop.origins import origin_of

BGR = [103.53, 116.28, 123.675]


def test_detectron2(tmp_path):
    theirs, ours = detectron2_state(18, classes=80, width=64)
    path = tmp_path / "model_final_5bd44e.pkl"
    path.write_bytes(pickle.dumps({"model": {k: v.numpy() for k, v in theirs.items()}, "__author__": "x"}, protocol=2))
    model = init_detector(path)
    assert model.classes == CLASSES
    assert model.cfg.model.backbone.style == "caffe"
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(BGR)
    assert not model.data_preprocessor.bgr_to_rgb
    assert model.cfg.model.neck.relu_before_p7
    own = model.state_dict()
    for name in ("backbone.layer3.1.bn2.running_var", "neck.extra_convs.1.bias", "bbox_head.cls_convs.3.conv.weight"):
        assert torch.equal(own[name], ours[name])
    torch.save({"model": theirs, "iteration": 3}, tmp_path / "a.pth")  # the .pth of a run of one's own
    assert torch.equal(
        init_detector(tmp_path / "a.pth").state_dict()["bbox_head.conv_cls.bias"], own["bbox_head.conv_cls.bias"]
    )


@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_torchvision(name, tmp_path):
    torch.manual_seed(0)
    theirs = getattr(detection, name)(weights=None, weights_backbone=None)
    torch.save(theirs.state_dict(), tmp_path / "a.pth")
    model = init_detector(tmp_path / "a.pth")
    assert model.classes == classes_by_id()
    assert [model.classes[label] for label in (1, 12, 90)] == ["person", "unused 12", "toothbrush"]
    last = theirs.head.classification_head.cls_logits.weight
    assert torch.equal(model.bbox_head.conv_cls.weight, last)
    assert (model.bbox_head.conv_quality is not None) == ("fcos" in name)
    assert (model.neck.extra_levels == "on_c5") == name.endswith("v2")


def test_origin():
    assert origin_of({}) is None
    assert origin_of({"backbone.conv1.weight": 0, "bbox_head.conv_cls.weight": 0}) is None
    assert origin_of({"backbone.bottom_up.stem.conv1.weight": 0}) == "detectron2"
    assert origin_of({"backbone.body.conv1.weight": 0}) == "torchvision"
    for family in FAMILIES:
        assert origin_of(small(family)) == "mmdet"


def test_a_run_has_no_classes_without_objects(tmp_path):
    torch.manual_seed(0)
    theirs = detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    torch.nn.init.normal_(theirs["head.classification_head.cls_logits.bias"])
    torch.save(theirs, tmp_path / "a.pth")
    path = convert.own_checkpoint(tmp_path / "a.pth", tmp_path / "run")
    assert path == str(tmp_path / "run" / "converted" / "a.pth")
    run, whole = init_detector(path), init_detector(tmp_path / "a.pth")
    assert run.classes == CLASSES
    rows = [whole.classes.index(name) for name in CLASSES]
    for kept, all_rows in zip(run.bbox_head.conv_cls.parameters(), whole.bbox_head.conv_cls.parameters(), strict=True):
        assert torch.equal(kept.unflatten(0, (9, 80)), all_rows.unflatten(0, (9, 91))[:, rows])
