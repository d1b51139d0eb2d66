"""YOLOv3 from MMDetection's checkpoints and configs, and back."""

from pathlib import Path

import pytest
import torch
from interop.mmdet_sources import write_source
from torch import nn

from rdet.apis.build import build_detector
from rdet.apis.inference import init_detector
from rdet.config import load_config
from rdet.errors import CheckpointError, ConfigError
from rdet.interop.convert import convert_checkpoint
from rdet.interop.mmdet_config.convert import convert_config
from rdet.interop.source_config import input_side
from rdet.interop.yolov3 import from_yolov3, to_yolov3
from rdet.interop.yolov3_names import layers

CONFIGS = Path(__file__).parents[2] / "configs/yolov3"


def detector(name="yolov3_mobilenetv2_416_coco"):
    torch.manual_seed(0)
    cfg = load_config(CONFIGS / f"{name}.py", {"model.backbone.weights": None})
    model = build_detector(cfg, classes=[str(index) for index in range(5)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.is_meta:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def test_checkpoints_there_and_back(tmp_path):
    model = detector()
    state = to_yolov3(model.state_dict())
    assert state["bbox_head.convs_pred.0.weight"].shape == (3 * (5 + 5), 96, 1, 1)
    assert "neck.detect3.conv5.bn.bias" in state
    unused = {"backbone.conv2.conv.weight": torch.ones(1)}
    config = "test_pipeline = [dict(type='Resize', scale=(352, 256), keep_ratio=True)]"
    meta = {"dataset_meta": {"classes": tuple("abcde")}, "cfg": config}
    torch.save({"state_dict": state | unused, "meta": meta}, tmp_path / "theirs.pth")
    said = convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pth")
    assert said == f"YOLOv3 with MobileNetV2 for 352 pixels, 5 classes, written to {tmp_path / 'ours.pth'}"
    converted = init_detector(checkpoint=tmp_path / "ours.pth")
    assert converted.classes == tuple("abcde")
    assert tuple(converted.cfg.val_dataloader.dataset.pipeline[1].scale) == (352, 352)
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = converted(images), model(images)
    assert all(torch.equal(found[index], expected[index]) for index in (0, 1, 3))  # classes, boxes, objects
    convert_checkpoint(tmp_path / "ours.pth", tmp_path / "back.pth", target="mmdet")
    back = torch.load(tmp_path / "back.pth")
    assert back["meta"]["dataset_meta"]["classes"] == tuple("abcde")
    assert set(back["state_dict"]) == set(state)
    assert all(torch.equal(back["state_dict"][name], value) for name, value in state.items())


def test_names_of_darknet():
    with torch.device("meta"):
        ours = detector("yolov3_d53_608_coco").state_dict()
    theirs = to_yolov3(ours)
    assert len(theirs) == len(ours) - 12  # two of three layers, of three levels, weight and bias
    names = layers(mobile=False)
    assert len(set(names.values())) == len(names)
    shapes = {name: tuple(value.shape) for name, value in theirs.items()}
    assert shapes["backbone.conv1.conv.weight"] == (32, 3, 3, 3)
    assert shapes["backbone.conv_res_block5.res3.conv2.conv.weight"] == (1024, 512, 3, 3)
    assert shapes["neck.detect1.conv1.conv.weight"] == (512, 1024, 1, 1)
    assert shapes["neck.detect2.conv1.conv.weight"] == (256, 512 + 256, 1, 1)
    assert shapes["bbox_head.convs_bridge.2.conv.weight"] == (256, 128, 3, 3)


@pytest.mark.parametrize(("name", "side"), [("yolov3_mobilenetv2_8xb24-320-300e_coco", 320), ("a", 416)])
def test_the_size_of_images_is_in_the_name(name, side):
    converted = from_yolov3({}, to_yolov3(detector().state_dict()), f"{name}.pth")
    assert converted.description == f"YOLOv3 with MobileNetV2 for {side} pixels, 5 classes"
    sizes = load_config(CONFIGS / f"yolov3_mobilenetv2_{side}_coco.py").model.anchor_generator.sizes
    assert converted.cfg.model.anchor_generator["sizes"] == sizes


def test_what_a_config_says_goes_before_the_name():
    text = (
        "model = dict(bbox_head=dict(anchor_generator=dict(base_sizes=[[(9, 9)] * 3, [(5, 5)] * 3, [(1, 2)] * 3])),"
        " test_cfg=dict(conf_thr=0.1, score_thr=0.2, nms=dict(type='nms', iou_threshold=0.3)))\n"
        "data = dict(val=dict(pipeline=[dict(type='MultiScaleFlipAug', img_scale=(320, 320))]))"
    )
    text = text.replace("[(9, 9)] * 3", "[(9, 9), (8, 8), (7, 7)]").replace("[(5, 5)] * 3", "[(5, 5), (4, 4), (6, 6)]")
    text = text.replace("[(1, 2)] * 3", "[(1, 2), (2, 1), (2, 2)]")
    content = {"meta": {"config": text}}
    cfg = from_yolov3(content, to_yolov3(detector().state_dict()), "x-608-y.pth").cfg
    assert cfg.model.anchor_generator["sizes"][0] == [(1, 2), (2, 1), (2, 2)]
    post = cfg.model.postprocess
    assert (post.object_thr, post.score_thr, post.iou_threshold) == (0.1, 0.2, 0.3)
    assert tuple(cfg.val_dataloader.dataset.pipeline[1].scale) == (320, 320)
    assert input_side({}) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("neck.conv1.conv.weight"), "1 are missing"),
        (lambda state: state.update({"neck.detect4.conv1.conv.weight": torch.ones(1)}), "YOLOv3 has no weight called"),
        (lambda state: state.update({"bbox_head.convs_pred.0.bias": torch.ones(7)}), r"convs_pred.0.bias is \(7,\)"),
        (lambda state: state["bbox_head.convs_pred.0.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_other_checkpoints_are_one_line(change, message):
    state = to_yolov3(detector().state_dict())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        from_yolov3({}, state, "")


LOSS = "type='CrossEntropyLoss', use_sigmoid=True, reduction='sum'"
MODEL = f"""
model = dict(
    _delete_=True,
    type="YOLOV3",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[0, 0, 0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True, pad_size_divisor=32
    ),
    backbone=dict(
        type="Darknet",
        depth=53,
        out_indices=(3, 4, 5),
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://darknet53"),
    ),
    neck=dict(type="YOLOV3Neck", num_scales=3, in_channels=[1024, 512, 256], out_channels=[512, 256, 128]),
    bbox_head=dict(
        type="YOLOV3Head",
        num_classes=80,
        in_channels=[512, 256, 128],
        out_channels=[1024, 512, 256],
        anchor_generator=dict(
            type="YOLOAnchorGenerator",
            base_sizes=[
                [(116, 90), (156, 198), (373, 326)],
                [(30, 61), (62, 45), (59, 119)],
                [(10, 13), (16, 30), (33, 23)],
            ],
            strides=[32, 16, 8],
        ),
        bbox_coder=dict(type="YOLOBBoxCoder"),
        featmap_strides=[32, 16, 8],
        loss_cls=dict({LOSS}),
        loss_conf=dict({LOSS}),
        loss_xy=dict({LOSS}, loss_weight=2.0),
        loss_wh=dict(type="MSELoss", loss_weight=2.0, reduction="sum"),
    ),
    train_cfg=dict(assigner=dict(type="GridAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0)),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        conf_thr=0.005,
        nms=dict(type="nms", iou_threshold=0.45),
        max_per_img=100,
    ),
)
"""


def test_a_config_has_mmdetections_numbers(tmp_path):
    source = write_source(tmp_path, "RetinaNet", MODEL)
    said = convert_config(source, tmp_path / "ours.py")
    assert said == f"YOLOv3 with Darknet-53, written to {tmp_path / 'ours.py'}"
    found, expected = (load_config(path).model for path in (tmp_path / "ours.py", CONFIGS / "yolov3_d53_608_coco.py"))
    assert not found.postprocess.pop("clip")  # boxes are not clipped there
    assert (found.assigner.pop("pos_iou_thr"), found.assigner.pop("neg_iou_thr")) == (0.5, 0.5)
    assert (found.postprocess.pop("topk_per_level"), found.postprocess.pop("max_per_img")) == (1000, 100)
    assert found.backbone.pop("norm_eval")
    assert found.bbox_head.pop("feat_channels") == [256, 512, 1024]  # twice those of the neck
    found.data_preprocessor.pop("pad_size_divisor")
    assert found == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reduction='sum')", "reduction='mean')", r"loss_cls.reduction is 'mean'; rdet's losses of YOLOv3 are sums"),
        ('type="MSELoss"', 'type="L1Loss"', "MMDetection's L1Loss has no counterpart"),
        ("depth=53", "depth=19", "backbone.depth is 19; rdet has Darknet-53 alone"),
        ('type="GridAssigner"', 'type="ATSSAssigner"', "MMDetection's ATSSAssigner"),
        ("strides=[32, 16, 8],\n        )", "strides=[64, 32, 16],\n        )", r"strides is \[64, 32, 16\]"),
        ("[1024, 512, 256], out", "[9, 512, 256], out", r"neck.in_channels is not \[1024, 512, 256\]"),
    ],
)
def test_other_configs_are_one_line(tmp_path, old, new, message):
    assert old in MODEL
    source = write_source(tmp_path, "RetinaNet", MODEL.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        convert_config(source, tmp_path / "ours.py")
