"""Checkpoints of other projects become detectors of rdet."""

import json
import pickle
import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from forked import Forked
from made_weights import made_images, made_weights
from mmdet_states import FAMILIES, shapes, weights
from parity import INPUT, Source, agreement, detections
from test_detectron2 import detectron2_state
from torchvision.models import detection

from rdet.apis.inference import init_detector
from rdet.checkpoint import read_checkpoint
from rdet.config import load_config
from rdet.errors import CheckpointError, ConfigError, OutputError
from rdet.interop import convert, zoo
from rdet.interop.coco import CLASSES, classes_by_id
from rdet.interop.convert import convert_checkpoint, open_checkpoint, origin_of
from rdet.models.dense_heads.tood_anchor_head import TOODAnchorHead
from rdet.models.dense_heads.tood_head import displaced_corners
from rdet.structures import DetDataSample

ROOT = Path(__file__).resolve().parents[2]

small = partial(shapes, depth=18, width=64)


@pytest.fixture
def save(tmp_path):
    def saved(state, name="a.pth", **meta) -> str:
        torch.save({"state_dict": state, "meta": meta}, tmp_path / name)
        return str(tmp_path / name)

    return saved


def detect(model, image):
    """Detections of a BGR image (3, H, W) at its own size."""
    size = tuple(image.shape[1:])
    sample = DetDataSample(metainfo={"img_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)})
    with torch.no_grad():
        return model.test_step({"inputs": [image], "data_samples": [sample]})[0].pred_instances


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
    expected = json.loads((Path(__file__).parent / "fixtures" / f"{name}.json").read_text())
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


def test_a_checkpoint_without_config_warns_of_what_is_taken(save, monkeypatch):
    said = []
    monkeypatch.setattr(convert, "print_log", lambda message, *args, **options: said.append(message))
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


def test_the_error_of_another_config_says_what_the_checkpoint_is(save):
    path = save(weights(small("GFL", width=256)))
    with pytest.raises(CheckpointError) as caught:
        init_detector(ROOT / "configs" / "retinanet" / "r18_fpn_1x_coco.py", path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert "it is GFL with ResNet-18, group normalisation in the head, 80 classes; it goes with " in message
    assert " configs/gfl/r50_fpn_1x_coco_mmdet.py and --cfg-options" in message
    assert "model.backbone.depth=18" in message
    assert message.endswith("or leave the config out: the checkpoint carries its own")


def test_a_checkpoint_alone_is_not_told_to_stand_alone(tmp_path):
    cfg = Path(__file__).parents[2] / "configs/retinanet/r50_fpn_1x_coco.py"
    text = load_config(cfg, {"model.num_classes": 2}).pretty_text
    torch.save({"meta": {"cfg": text}, "state_dict": {"a": torch.ones(1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"another architecture than the config; give its own config$"):
        init_detector(checkpoint=tmp_path / "a.pth")


def test_a_checkpoint_without_config_needs_one(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(ConfigError, match=r"a\.pth carries no config; give the one that it was trained with"):
        init_detector(tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="init_detector needs a config or a checkpoint"):
        init_detector()


def test_origin():
    assert origin_of({}) is None
    assert origin_of({"backbone.conv1.weight": 0, "bbox_head.conv_cls.weight": 0}) is None
    assert origin_of({"backbone.bottom_up.stem.conv1.weight": 0}) == "detectron2"
    assert origin_of({"backbone.body.conv1.weight": 0}) == "torchvision"
    for family in FAMILIES:
        assert origin_of(small(family)) == "mmdet"


def run_tool(*words, cwd):
    process = Forked(ROOT / "tools" / words[0], [*map(str, words[1:])], cwd, apart=True)
    said, errors = process.communicate()
    return process.returncode, said, errors


def test_the_tool_converts_there_and_back_and_infer_needs_no_config(save, tmp_path):
    state = weights(small("ATSS", classes=3))
    source = save(state, dataset_meta={"classes": ("a", "b", "c")})
    code, out, _ = run_tool("convert_checkpoint.py", source, "rdet.pth", cwd=tmp_path)
    assert (code, out.splitlines()[-1]) == (
        0,
        "ATSS with ResNet-18, group normalisation in the head, 3 classes, written to rdet.pth",
    )
    converted = read_checkpoint(tmp_path / "rdet.pth")
    assert converted["meta"]["dataset_meta"]["classes"] == ("a", "b", "c")
    code, out, _ = run_tool("convert_checkpoint.py", "rdet.pth", "back.pth", "--to", "mmdet", cwd=tmp_path)
    assert code == 0
    assert out.splitlines()[-1].startswith("ATSS with ResNet-18")
    back = read_checkpoint(tmp_path / "back.pth")
    assert back["meta"] == {"dataset_meta": {"classes": ("a", "b", "c")}, "CLASSES": ("a", "b", "c")}
    assert set(back["state_dict"]) == set(state)
    assert all(torch.equal(back["state_dict"][name], value) for name, value in state.items())

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 48, 3), np.uint8))
    options = ["val_dataloader.dataset.pipeline.1.scale=(64,64)"]
    code, out, error = run_tool(
        "infer.py", "rdet.pth", "--out-dir", "out", "a.png", "--cfg-options", *options, cwd=tmp_path
    )
    assert code == 0, error
    assert "detections in 1 images: out" in out
    found = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [category["name"] for category in found["categories"]] == ["a", "b", "c"]


def test_a_checkpoint_of_rdet_needs_no_conversion(save, tmp_path):
    content = open_checkpoint(save(weights(small("ATSS"))))
    content["meta"].pop("converted_from")
    torch.save(content, tmp_path / "own.pth")
    with pytest.raises(CheckpointError, match=r"own\.pth is a checkpoint of rdet already: nothing to convert"):
        convert_checkpoint(tmp_path / "own.pth", tmp_path / "out.pth")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mmdt://atss_r50_fpn_1x_coco", "released detectors have no 'mmdt://'. Did you mean 'mmdet://'"),
        ("MMDET://atss_r50_fpn_1x_coco", "released detectors have no 'MMDET://'. Did you mean 'mmdet://'"),
        (
            "s3://a.pth",
            "released detectors have no 's3://'. Valid: detectron2://, mmdet://, nanodet://, torchvision://, yolox://.",
        ),
        ("atss_r50_fpn_1x_coco", "there is no file atss_r50_fpn_1x_coco. Did you mean 'mmdet://atss_r50_fpn_1x_coco'?"),
        ("fcos_resnet50_fpn", "there is no file fcos_resnet50_fpn. Did you mean 'torchvision://fcos_resnet50_fpn'?"),
    ],
)
def test_a_name_that_is_nearly_one_of_the_zoo(source, message):
    for arguments in ((source,), (None, source)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            init_detector(*arguments)


def test_the_tool_says_in_one_line_what_is_wrong(save, tmp_path):
    source = save({"a.b": torch.zeros(1)})
    code, _, error = run_tool("convert_checkpoint.py", source, "out.pth", cwd=tmp_path)
    assert (code, error.splitlines()) == (
        1,
        [
            f"error: {source} is not a checkpoint of mmdet, detectron2, torchvision, nanodet, yolox: its weights are "
            "called a.b; give one of those"
        ],
    )
    assert not (tmp_path / "out.pth").exists()
    code, _, error = run_tool("convert_checkpoint.py", "mmdet://atss_r50", "out.pth", cwd=tmp_path)
    assert code == 1
    assert error.startswith("error: no released detector is called 'mmdet://atss_r50'. Did you mean ")
    assert len(error.splitlines()) == 1


@pytest.fixture
def released(monkeypatch, tmp_path, save):
    """``mmdet://small_r18``: a release whose file is already in torch's folder."""
    from hashlib import sha256

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = save(weights(small("RetinaNet", classes=2)), "small.pth", CLASSES=("red", "blue"))
    digits = sha256(Path(path).read_bytes()).hexdigest()[:8]
    name = "mmdet://small_r18"
    entry = zoo.Release(name, f"http://127.0.0.1:1/small-{digits}.pth", "sha256", digits, 30.0)
    monkeypatch.setitem(zoo.RELEASES, name, entry)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    Path(path).rename(folder / f"small-{digits}.pth")
    return name


def test_a_detector_by_name(released):
    expected = weights(small("RetinaNet", classes=2))["bbox_head.retina_cls.bias"]
    for arguments in ((released,), (None, released)):
        model = init_detector(*arguments)
        assert model.classes == ("red", "blue")
        assert torch.equal(model.bbox_head.conv_cls.bias, expected)
    cfg = load_config(ROOT / "configs" / "retinanet" / "r18_fpn_1x_coco.py")
    options = {"model.neck.out_channels": 64, "model.bbox_head.feat_channels": 64}
    assert init_detector(cfg, released, cfg_options=options).cfg.model.loss_bbox.type == "SmoothL1Loss"


def test_the_address_of_a_release_is_checked_too(released):
    entry = zoo.release(released)
    assert init_detector(checkpoint=entry.address).classes == ("red", "blue")
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    (folder / entry.address.rpartition("/")[2]).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"its sha256 begins with 2d711642, not with {entry.checksum}"):
        init_detector(checkpoint=entry.address)


def test_training_starts_from_a_name(released, make_runner, tmp_path):
    """The tiny data set has the classes bright and red."""
    before = weights(small("RetinaNet", classes=2))
    runner = make_runner(
        load_from=released,
        model__backbone={"_delete_": True, "type": "ResNet", "depth": 18},
        model__neck={"_delete_": True, "type": "FPN", "out_channels": 64},
        model__bbox_head={"_delete_": True, "type": "RetinaHead", "feat_channels": 64},
        model__anchor_generator={"_delete_": True, "type": "AnchorGenerator"},
        train_cfg__max_iters=1,
    )
    drawn = runner.model.bbox_head.conv_cls.bias.detach().clone().unflatten(0, (9, 2))
    runner.load_or_resume()
    found = runner.model.bbox_head.conv_cls.bias.detach().unflatten(0, (9, 2))
    assert torch.equal(found[:, 0], drawn[:, 0])  # bright
    assert torch.equal(found[:, 1], before["bbox_head.retina_cls.bias"].unflatten(0, (9, 2))[:, 0])  # red
    own = runner.model.state_dict()
    assert torch.equal(own["backbone.layer4.1.conv2.weight"], before["backbone.layer4.1.conv2.weight"])
    assert torch.equal(own["neck.extra_convs.1.bias"], before["neck.fpn_convs.4.conv.bias"])
    assert (tmp_path / "run" / "converted" / "small_r18.pth").is_file()


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


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"dataset_meta": None},
        {"dataset_meta": {"classes": [1, 2]}},
        {"dataset_meta": {"classes": ["unused 1", "a", "b"]}, "description": torch.ones(3)},
    ],
)
def test_a_converted_file_with_odd_meta_is_taken_as_it_is(tmp_path, meta):
    """What it lacks is said when it is loaded."""
    weights = {"bbox_head.conv_cls.weight": torch.ones(4, 1, 1, 1)}
    torch.save({"meta": {"converted_from": "x", **meta}, "state_dict": weights}, tmp_path / "a.pth")
    path = convert.own_checkpoint(tmp_path / "a.pth", tmp_path / "run")
    assert torch.equal(read_checkpoint(path)["state_dict"]["bbox_head.conv_cls.weight"], torch.ones(4, 1, 1, 1))
    assert convert_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth").endswith("b.pth")


@pytest.mark.parametrize(
    ("out", "message"),
    [("a.pth", "is the source itself"), ("no/b.pth", "there is no folder"), ("b.onnx", r"let its name end in \.pth")],
)
def test_where_nothing_is_written(tmp_path, out, message):
    torch.save({}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    with pytest.raises(OutputError, match=message):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / out)
    assert (tmp_path / "a.pth").read_bytes() == content


def test_an_own_checkpoint_is_not_converted(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    assert convert.own_checkpoint(tmp_path / "a.pth", tmp_path / "run") == str(tmp_path / "a.pth")
    assert not (tmp_path / "run").exists()
