"""What a checkpoint's own config and name say of it goes into rdet's."""

import re

import pytest
import torch
from mmdet_states import shapes, weights
from saved_states import small

from rdet.apis.inference import init_detector
from rdet.errors import CheckpointError
from rdet.interop import origins
from rdet.interop.convert import convert_checkpoint, open_checkpoint

MODEL_3 = """
model = dict(
    data_preprocessor=dict(
        mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], bgr_to_rgb=False, type='DetDataPreprocessor'),
    backbone=dict(style='pytorch', type='ResNet'),
    test_cfg=dict(max_per_img=300, nms=dict(iou_threshold=0.65, type='nms'), nms_pre=2000, score_thr=0.01))
"""


MODEL_2 = """
img_norm_cfg = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=False)
model = dict(backbone=dict(style='pytorch'))
test_cfg = dict(nms_pre=2000, score_thr=0.01, nms=dict(type='nms', iou_thr=0.65), max_per_img=300)
"""


@pytest.mark.parametrize("meta", [{"cfg": MODEL_3}, {"config": MODEL_2}], ids=["3.x", "2.x"])
def test_what_the_sources_own_config_says_goes_into_rdets(meta, save):
    model = init_detector(save(weights(small("RetinaNet")), **meta))
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
    assert model.data_preprocessor.std.flatten().tolist() == [4, 5, 6]
    assert not model.data_preprocessor.bgr_to_rgb
    postprocess = model.cfg.model.postprocess
    assert (postprocess.score_thr, postprocess.topk_per_level) == (0.01, 2000)
    assert (postprocess.max_per_img, postprocess.iou_threshold) == (300, 0.65)


def test_anchors_and_neck_of_ones_own_training(save):
    text = """
model = dict(
    neck=dict(type='FPN', add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[1.0, 3.0]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2])))
"""
    state = shapes("RetinaNet", 18, classes=3, width=64)
    state["neck.fpn_convs.3.conv.weight"] = (64, 64, 3, 3)
    for layer, rows in (("retina_cls", 12), ("retina_reg", 16)):
        state |= {f"bbox_head.{layer}.weight": (rows, 64, 3, 3), f"bbox_head.{layer}.bias": (rows,)}
    model = init_detector(save(weights(state), cfg=text, dataset_meta={"classes": ("a", "b", "c")}))
    assert model.cfg.model.neck.relu_before_p7
    boxes = model.anchor_generator([(1, 1)] + [(0, 0)] * 4)
    sizes = boxes[:, 2:] - boxes[:, :2]  # (4, 2) width, height
    expected = [[16 * 2**s / r**0.5, 16 * 2**s * r**0.5] for r in (1, 3) for s in (0, 0.5)]
    torch.testing.assert_close(sizes, torch.tensor(expected))
    delta = torch.tensor([[1.0, 0, 0, 0]])
    moved = model.bbox_coder.decode(torch.tensor([[0.0, 0, 10, 10]]), delta)
    assert moved.tolist() == [[1, 0, 11, 10]]


BGR = [103.53, 116.28, 123.675]


@pytest.mark.parametrize(
    ("family", "bias", "name", "style", "mean"),
    [
        ("RetinaNet", False, "retinanet_r50_caffe_fpn_1x_coco_20200531-f11027c5.pth", None, BGR),
        ("RetinaNet", False, "retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth", None, BGR[::-1]),
        ("RetinaNet", False, "mine.pth", "caffe", BGR),
        ("FCOS", False, "fcos_r50_caffe_fpn_gn-head_1x_coco-821213aa.pth", None, [102.9801, 115.9465, 122.7717]),
        ("FCOS", True, "fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco-0a0d75a8.pth", None, BGR),
        ("FCOS", False, "fcos_x101_64x4d_fpn_gn-head_mstrain_640-800_2x_coco-ede514a8.pth", None, BGR[::-1]),
    ],
)
def test_style_and_input_by_name(family, bias, name, style, mean, save):
    path = save(weights(small(family, bias=bias)), name)
    model = convert_to_model(path, style)
    caffe = mean != BGR[::-1]
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(mean)
    assert model.data_preprocessor.std.flatten().tolist() == pytest.approx(
        [1] * 3 if caffe else [58.395, 57.12, 57.375]
    )
    assert model.data_preprocessor.bgr_to_rgb is not caffe
    assert model.cfg.model.backbone.get("style", "pytorch") == ("caffe" if caffe else "pytorch")
    if family == "FCOS":
        head = model.cfg.model.bbox_head
        assert (head.get("distance", "relu"), head.quality_tower) == (("relu", "reg") if bias else ("exp", "cls"))
        assert model.cfg.model.bbox_coder.get("unit", "stride") == ("stride" if bias else "pixel")
        assert model.cfg.model.postprocess.iou_threshold == (0.6 if bias else 0.5)


def convert_to_model(path, style=None):
    out = f"{path}.rdet.pth"
    convert_checkpoint(path, out, style=style)
    return init_detector(out)


@pytest.mark.parametrize(
    ("family", "text", "message"),
    [
        ("RetinaNet", "model = dict(test_cfg=dict(nms=dict(type='soft_nms')))", "its test_cfg.nms is 'soft_nms'"),
        (
            "GFL",
            "model = dict(backbone=dict(strides=(1, 2, 1, 2)))",
            "its backbone has the strides and dilations ((1, 2, 1, 2), (1, 1, 1, 1))",
        ),
        (
            "TOOD",
            "model = dict(bbox_head=dict(anchor_type='anchor_based', anchor_generator=dict(ratios=[0.5, 2.0])))",
            "it is TOOD with other anchors than one square a cell",
        ),
        (
            "TOOD",
            "model = dict(bbox_head=dict(anchor_type='anchor_based', bbox_coder=dict(target_means=[0.5, 0, 0, 0])))",
            "its bbox_coder.target_means are not 0",
        ),
    ],
)
def test_what_rdet_does_not_have_is_an_error(family, text, message, save):
    path = save(weights(small(family)), cfg=text)
    with pytest.raises(CheckpointError, match=rf"^{re.escape(path)} cannot be converted: {re.escape(message)}"):
        open_checkpoint(path)


def test_a_checkpoint_without_config_warns_of_what_is_taken(save, monkeypatch):
    said = []
    monkeypatch.setattr(origins, "print_log", lambda message, *args, **options: said.append(message))
    open_checkpoint(save(weights(small("ATSS"))), style="pytorch")
    assert [message.partition(" carries ")[2] for message in said] == [
        "no config; taken: anchors, deltas and thresholds of MMDetection's released ATSS. If it was trained with "
        "others, its detections are wrong"
    ]
    open_checkpoint(save(weights(small("ATSS")), "atss_r50_fpn_1x_coco_20200209-985f7bd0.pth"))
    assert len(said) == 1  # it is the released one


def test_a_config_that_is_no_plain_text_is_not_run(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(weights(small("RetinaNet")), cfg="open('created', 'w')\nmodel = dict()")
    assert init_detector(path).cfg.model.postprocess.score_thr == 0.05
    assert not (tmp_path / "created").exists()
