"""NanoDet-m from its authors' checkpoints and exported files."""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import batched_nms

from rdet.apis.build import build_detector
from rdet.apis.inference import inference_detector, init_detector
from rdet.config import load_config
from rdet.errors import CheckpointError, MissingFileError, MissingModuleError
from rdet.interop.convert import convert_checkpoint, open_checkpoint
from rdet.interop.nanodet_onnx import _BLOCKS, _chains

onnx = pytest.importorskip("onnx")

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/nanodet/nanodet_m_416_coco.py"
SHARED = ROOT.parent / "shared/data"
RELEASED = SHARED / "nanodet/nanodet_m_416.onnx"
released = pytest.mark.skipif(not RELEASED.exists(), reason="needs the released weights beside the checkout")


def detector(classes=5, **options):
    torch.manual_seed(0)
    cfg = load_config(CONFIG, {"model.backbone.weights": None, **options})
    model = build_detector(cfg, classes=[str(index) for index in range(classes)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def of_the_project(model) -> dict:
    """The weights of one of ours as its authors call them."""
    state = {}
    for name, value in model.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "backbone":
            state[name] = value
        elif part == "neck":
            layer, kind = rest.removeprefix("lateral_convs.").split(".")
            state[f"fpn.lateral_convs.{layer}.conv.{kind}"] = value
        elif rest.startswith("convs."):
            level, layer, conv, module, kind = rest.removeprefix("convs.").split(".")
            theirs = {"depthwise_conv": ("depthwise", "dwnorm"), "pointwise_conv": ("pointwise", "pwnorm")}[conv]
            state[f"head.cls_convs.{level}.{layer}.{theirs[module == 'bn']}.{kind}"] = value
        elif rest.startswith("conv_cls."):
            layer = rest.removeprefix("conv_cls.")
            state[f"head.gfl_cls.{layer}"] = torch.cat([value, model.state_dict()[f"bbox_head.conv_reg.{layer}"]])
    state["head.gfl_reg.0.weight"] = torch.zeros(32, 96, 1, 1)
    state["head.distribution_project.project"] = torch.arange(8.0)
    return state


def folded(model) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Convolutions with their normalisation in them, as the network runs them."""
    found = []

    def note(conv, inputs, output):
        found.append((names[conv], conv))

    names = {module: name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    handles = [conv.register_forward_hook(note) for conv in names]
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    modules, result = dict(model.named_modules()), []
    for name, conv in found:
        parent, _, child = name.rpartition(".")
        if name.startswith("bbox_head.conv_reg."):  # one convolution with that of the classes, which ran before
            weight, bias = result.pop()
            result.append((torch.cat([weight, conv.weight]), torch.cat([bias, conv.bias])))
        elif name.startswith(("neck.", "bbox_head.conv_cls.")):
            result.append((conv.weight, conv.bias))
        else:
            norm = f"{parent}.bn" if child == "conv" else f"{parent}.{int(child) + 1}"
            fused = nn.utils.fusion.fuse_conv_bn_eval(conv, modules[norm])
            result.append((fused.weight, fused.bias))
    return result


def write_onnx(path, convolutions, extra_nodes=(), external=False, side=416, change=lambda model: None):
    """An export as far as its weights and their connections go: numbered, in their order."""
    tensors, nodes = [], []
    for index, (weight, bias) in enumerate(convolutions):
        for kind, value in (("w", weight), ("b", bias)):
            tensors.append(onnx.numpy_helper.from_array(value.detach().numpy(), f"{index}{kind}"))
    index = 0
    for chain in _chains(len(convolutions)) or [[""] * len(convolutions)]:
        x = f"map{index}"
        nodes.append(onnx.helper.make_node("Identity", ["x0"], [x]))
        for name in chain:
            nodes.append(onnx.helper.make_node("Conv", [x, f"{index}w", f"{index}b"], [f"y{index}"]))
            x = f"y{index}"
            if not name.endswith(("branch1.0", "branch2.3")) and "fpn" not in name and "gfl_cls" not in name:
                nodes.append(onnx.helper.make_node("LeakyRelu", [x], [f"a{index}"], alpha=0.1))
                x = f"a{index}"
            index += 1
    nodes += [onnx.helper.make_node(kind, ["x0"], ["y"]) for kind in extra_nodes]
    if external:
        tensors[0].ClearField("raw_data")
        tensors[0].data_location = onnx.TensorProto.EXTERNAL
        tensors[0].external_data.add(key="location", value="/etc/passwd")
    image = onnx.helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, [1, 3, side, side])
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [image], [], tensors))
    change(model)
    path.write_bytes(model.SerializeToString())


def raw(model, images):
    with torch.no_grad():
        predictions = model(images)
    return predictions.logits, predictions.deltas


@pytest.mark.parametrize("prefix", ["", "model.", "averaged"])
def test_checkpoints_of_the_project(tmp_path, prefix):
    model = detector()
    state = of_the_project(model)
    if prefix == "averaged":  # what is averaged is what counts
        state = {f"model.{name}": value + 1 for name, value in state.items()} | {
            f"avg_model.{name}": value for name, value in state.items()
        }
    else:
        state = {prefix + name: value for name, value in state.items()}
    torch.save({"state_dict": state, "epoch": 3, "iter": 4}, tmp_path / "nanodet_m_416.ckpt")
    convert_checkpoint(tmp_path / "nanodet_m_416.ckpt", tmp_path / "rdet.pth")
    converted = init_detector(checkpoint=tmp_path / "rdet.pth")
    images = torch.randn(2, 3, 64, 96)
    for found, expected in zip(raw(converted, images), raw(model, images), strict=True):
        assert torch.equal(found, expected)
    assert not converted.backbone.norm_eval
    assert converted.cfg.val_dataloader.dataset.pipeline[1].scale == (416, 416)


SMALL = {"model.backbone.model_name": "shufflenet_v2_x0_5", "model.bbox_head.stacked_convs": 1}


@pytest.mark.parametrize(("options", "side"), [({}, 416), (SMALL, 320), ({}, 256)])
def test_exported_files(tmp_path, options, side):
    model = detector(**options)
    write_onnx(tmp_path / "a.onnx", folded(model), side=side)
    converted = init_detector(checkpoint=tmp_path / "a.onnx")
    images = torch.randn(2, 3, 64, 96)
    for found, expected in zip(raw(converted, images), raw(model, images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert converted.cfg.val_dataloader.dataset.pipeline[1].scale == (side, side)
    # Statistics of a batch would undo the identity: training keeps it.
    assert not any(module.training for module in converted.train().modules() if isinstance(module, nn.BatchNorm2d))


def initializers(model) -> dict:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def with_array(name, make):
    def change(model):
        tensor = initializers(model)[name]
        array = make(onnx.numpy_helper.to_array(tensor))
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    return change


def with_all_arrays(dtype):
    def change(model):
        for name in initializers(model):
            with_array(name, lambda array: array.astype(dtype))(model)

    return change


def with_side(side):
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = side

    return change


def cut_short(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def of_unknown_type(model):
    model.graph.initializer[0].data_type = 99


def without_a_path(model):
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def with_relu(model):
    for node in model.graph.node:
        if node.op_type == "LeakyRelu":
            node.op_type = "Relu"
            del node.attribute[:]


def with_levels_reversed(model):
    """The same network; only the order of its independent parts is another."""
    size = 10  # what makes a level's map, four convolutions with their activations, the last convolution
    nodes = list(model.graph.node)[-3 * size :]
    levels = [nodes[start : start + size] for start in range(0, 3 * size, size)]
    del model.graph.node[-3 * size :]
    model.graph.node.extend(level[0] for level in levels)
    model.graph.node.extend(node for level in reversed(levels) for node in level[1:])


def with_boxes_of(channels):
    def change(model):
        for index in range(6):
            shape = [1, 7, 5 if index < 3 else channels]
            model.graph.output.append(onnx.helper.make_tensor_value_info(f"out{index}", onnx.TensorProto.FLOAT, shape))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_all_arrays(np.int8), "'0w' is not of floating point"),
        (cut_short, "'0w' is damaged"),
        (of_unknown_type, "'0w' is not of floating point"),
        (without_a_path, "'0w' is damaged"),
        (
            with_array("0w", lambda array: array * np.nan),
            r"backbone\.conv1\.0\.weight holds numbers that are not finite",
        ),
        (with_array("0b", lambda array: array[:7]), r"4 are unknown or of another shape \(backbone\.conv1\.1\.weight"),
        (with_array("62b", lambda array: array[:36]), "its last layers have 36, 37 channels"),
        (with_array("58w", lambda array: array[0, 0, 0, 0]), "no NanoDet-m of version 0"),
        (with_side(-5), r"images of \(416, -5\) pixels"),
        (with_side(10**12), r"images of \(416, 1000000000000\) pixels"),
        (with_relu, "not connected as those of NanoDet-m"),
        (with_levels_reversed, "not connected as those of NanoDet-m"),
        (with_boxes_of(44), "its boxes are not of 8 bins a side"),
    ],
)
def test_damaged_and_other_exports_are_one_line(tmp_path, change, message):
    write_onnx(tmp_path / "a.onnx", folded(detector()), change=change)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_checkpoint(tmp_path / "a.onnx", tmp_path / "a.pth")
    assert "a.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "scale"),
    [(with_all_arrays(np.float16), (416, 416)), (with_side(256), (416, 256)), (with_boxes_of(32), (416, 416))],
)
def test_exports_of_other_types_and_sizes(tmp_path, change, scale):
    write_onnx(tmp_path / "a.onnx", folded(detector()), change=change)
    found = open_checkpoint(tmp_path / "a.onnx")
    assert {value.dtype for value in found["state_dict"].values()} == {torch.float32, torch.int64}
    assert init_detector(checkpoint=tmp_path / "a.onnx").cfg.val_dataloader.dataset.pipeline[1].scale == scale


def test_a_missing_export_is_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint at"):
        open_checkpoint(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("nanodet_m.pth", 320),
        ("a_320.ckpt", 320),
        ("iter_13200.ckpt", None),
        ("model_best.ckpt", None),
        ("a416.pth", 416),
    ],
)
def test_the_size_of_images_is_guessed_with_a_warning(tmp_path, name, side, monkeypatch):
    said = []
    monkeypatch.setattr("rdet.interop.nanodet.print_log", lambda message, *_, **__: said.append(message))
    torch.save({"state_dict": of_the_project(detector())}, tmp_path / name)
    model = init_detector(checkpoint=tmp_path / name)
    assert model.cfg.val_dataloader.dataset.pipeline[1].scale == (side or 416,) * 2
    assert ["does not say for which size" in message for message in said] == [True] * (side is None)


def test_the_number_of_bins_is_the_checkpoints(tmp_path):
    """Not taken for more classes."""
    model = detector(**{"model.bbox_coder.reg_max": 10})
    state = of_the_project(model) | {"head.distribution_project.project": torch.arange(11.0)}
    torch.save({"state_dict": state}, tmp_path / "nanodet_m.pth")
    converted = init_detector(checkpoint=tmp_path / "nanodet_m.pth")
    assert (len(converted.classes), converted.bbox_coder.reg_max) == (5, 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda state: state.pop("head.gfl_cls.1.bias"), r"2 are missing \(bbox_head\.conv_cls\.1\.bias"),
        (lambda state: state.pop("fpn.lateral_convs.0.conv.weight"), "no NanoDet-m of version 0"),
        (lambda state: state.pop("head.cls_convs.0.0.pointwise.weight"), "1 are missing"),
        (lambda state: state.update({"backbone.fc.weight": torch.zeros(2)}), "1 are unknown"),
        (
            lambda state: state.update(
                {"backbone.conv1.0.bias": torch.zeros(24)} | {"backbone.x.bias": torch.zeros(2)}
            ),
            "of its weights",
        ),
        (lambda state: state.update({name: torch.tensor(1.0) for name in state}), "too few for boxes"),
        (lambda state: state.update({name: value.int() for name, value in state.items()}), "no plain tensor"),
        (lambda state: state.update({name: value.to("meta") for name, value in state.items()}), "no detector needs"),
    ],
)
def test_incomplete_and_odd_checkpoints_are_one_line(tmp_path, make, message):
    state = of_the_project(detector())
    make(state)
    torch.save({"state_dict": state}, tmp_path / "nanodet_m.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_checkpoint(tmp_path / "nanodet_m.pth", tmp_path / "a.pth", "nanodet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no protobuf at all \xff\xff"), "cannot be read as an ONNX file"),
        (lambda path: path.write_bytes(b""), "a.onnx is empty; take another"),
        (lambda path: write_onnx(path, folded(detector())[:-1]), r"no NanoDet-m or YOLOX, .*: it has \d+ convolutions"),
        (lambda path: write_onnx(path, folded(detector()), ["BatchNormalization"]), "batch normalisation of its own"),
        (lambda path: write_onnx(path, folded(detector()), external=True), "has no weight and bias in the file"),
    ],
)
def test_other_exported_files_are_one_line(tmp_path, make, message):
    make(tmp_path / "a.onnx")
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)


def test_other_nanodets_are_one_line(tmp_path):
    state = of_the_project(detector())
    towers = {**state, "head.reg_convs.0.0.depthwise.weight": torch.zeros(1)}
    unknown = {**state, "fpn.downsamples.0.weight": torch.zeros(1)}
    plus = {name: value for name, value in state.items() if not name.startswith("backbone.stage2.0.branch2")}
    for weights, message in (
        (towers, "towers of their own"),
        (unknown, "no weight called 'fpn.downsamples.0.weight'"),
        (plus, "no NanoDet-m of version 0"),
    ):
        torch.save({"state_dict": weights}, tmp_path / "a.pth")
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(tmp_path / "a.pth")


def test_ones_own_is_no_nanodet_to_convert(tmp_path):
    torch.save({"state_dict": detector().state_dict()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="a checkpoint of rdet already: nothing to convert; use it as it is$"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth")


def test_without_onnx_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "a.onnx").touch()
    with pytest.raises(MissingModuleError, match="needs the package onnx; install it: pip install onnx"):
        open_checkpoint(tmp_path / "a.onnx")


def test_blocks_are_those_of_the_network():
    backbone = detector().backbone
    assert {stage: len(getattr(backbone, f"stage{stage}")) for stage in (2, 3, 4)} == _BLOCKS


@pytest.fixture(scope="module")
def session():
    return pytest.importorskip("onnxruntime").InferenceSession(str(RELEASED), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def model():
    return init_detector(checkpoint=RELEASED)


def outputs_of_onnxruntime(session, image):
    """Probabilities (A, 80) and logits of the bins (A, 32), of a BGR image (416, 416, 3)."""
    mean, std = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])
    x = ((image - mean) / std).astype(np.float32).transpose(2, 0, 1)[None]
    found = session.run(None, {session.get_inputs()[0].name: x})
    return np.concatenate(found[:3], axis=1)[0], np.concatenate(found[3:], axis=1)[0]


def detections_of_onnxruntime(session, image):
    """Boxes in pixels of the image, scores, labels: written from the outputs alone, best first."""
    height, width = image.shape[:2]
    scores, bins = outputs_of_onnxruntime(session, cv2.resize(image, (416, 416)))
    centers, strides = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: 416 // stride, : 416 // stride]
        centers.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(len(centers[-1]), stride))
    center, stride = np.concatenate(centers), np.concatenate(strides)[:, None]
    weights = np.exp(bins.reshape(-1, 4, 8))
    distance = (weights / weights.sum(axis=2, keepdims=True) * np.arange(8)).sum(axis=2) * stride
    boxes = np.concatenate([center - distance[:, :2], center + distance[:, 2:]], axis=1).clip(0, 416)
    prior, label = (scores > 0.05).nonzero()
    boxes, scores = torch.from_numpy(boxes[prior]).float(), torch.from_numpy(scores[prior, label])
    keep = batched_nms(boxes, scores, torch.from_numpy(label), 0.6)[:100]
    scale = torch.tensor([width / 416, height / 416] * 2)
    return boxes[keep] * scale, scores[keep], torch.from_numpy(label)[keep]


@released
def test_outputs_are_onnxruntimes(session, model):
    image = np.random.default_rng(0).integers(0, 256, (416, 416, 3), dtype=np.uint8)
    image = cv2.blur(image, (31, 31)) * 2  # noise has no detections at all
    scores, bins = outputs_of_onnxruntime(session, image)
    inputs = model.data_preprocessor({"inputs": [torch.from_numpy(image).permute(2, 0, 1)]})["inputs"]
    logits, deltas = raw(model, inputs)
    np.testing.assert_allclose(logits[0].sigmoid(), scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(deltas[0], bins, rtol=0, atol=1e-4)


@released
def test_by_name(model, tmp_path, monkeypatch):
    """What was downloaded once, here by hand, is checked and taken without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    shutil.copy(RELEASED, tmp_path / "hub/checkpoints")
    named = init_detector("nanodet://nanodet_m_416")
    assert named.classes[:2] == ("person", "bicycle")
    state = named.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@released
@pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="needs images beside the checkout")
def test_detections_are_onnxruntimes(session, model):
    images = sorted((SHARED / "coco_mini/train2017").iterdir())[:: 166 // 12]
    compared = 0
    for path in images:
        image = cv2.imread(str(path))
        boxes, scores, labels = detections_of_onnxruntime(session, image)
        found = inference_detector(model, image).pred_instances
        assert len(found) == len(boxes)
        if len(boxes) == 0:
            continue
        # Each of theirs has one of ours: those of nearly the same score may stand in another order.
        far = torch.cdist(boxes, found.bboxes, p=torch.inf)  # pixels
        far = far + 1e4 * (labels[:, None] != found.labels) + (scores[:, None] - found.scores).abs()
        distance, ours = far.min(dim=1)
        assert distance.max() < 0.01
        assert len(ours.unique()) == len(ours)
        torch.testing.assert_close(found.scores[ours], scores, rtol=0, atol=1e-4)
        compared += len(boxes)
    assert compared > 100


@released
@pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="needs images beside the checkout")
def test_box_ap_on_coco(tmp_path):
    """What onnxruntime, cv2.resize and pycocotools give: 0.209, 0.352, 0.215, 0.110, 0.203, 0.404."""
    from rdet.apis.build import build_runner

    data = SHARED / "coco_mini"
    place = "val_dataloader.dataset"
    options = {
        "work_dir": str(tmp_path),
        "data_root": f"{data}/",
        f"{place}.ann_file": "annotations/instances_train2017.json",
        f"{place}.data_prefix.img": "train2017",
        "val_dataloader.num_workers": 0,
        "load_from": str(RELEASED),
        "model.backbone.weights": None,
        "log_level": "WARNING",
    }
    metrics = build_runner(load_config(CONFIG, options), "test").test()
    names = ["mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"]
    found = [metrics[f"coco/bbox_{name}"] for name in names]
    assert found == pytest.approx([0.209, 0.352, 0.215, 0.110, 0.203, 0.404], abs=0.002)


def test_a_training_that_would_undo_the_norms_is_refused(make_runner, tmp_path):
    """With the statistics of a batch, the weights of an export would be worth nothing."""
    write_onnx(tmp_path / "a.onnx", folded(detector(2)))
    torch.save(open_checkpoint(tmp_path / "a.onnx"), tmp_path / "a.pth")
    model = load_config(CONFIG, {"model.backbone.weights": None}).model
    options = {"model": {"_delete_": True, **model}, "load_from": str(tmp_path / "a.pth"), "train_cfg__max_iters": 1}
    with pytest.raises(
        CheckpointError, match=r"undo: set model\.backbone\.norm_eval=True model\.bbox_head\.norm_eval=T"
    ):
        make_runner(**options).train()
    fixed = {"model__backbone__norm_eval": True, "model__bbox_head__norm_eval": True}
    # The backbone's own weights are not asked for, since the checkpoint has them all.
    runner = make_runner(**options, **fixed, model__backbone__weights="torchvision://shufflenet_v2_x1_0")
    runner.train()
    # The same holds for what was trained from it.
    options["load_from"] = str(Path(runner.work_dir) / "iter_1.pth")
    assert Path(options["load_from"]).exists()
    with pytest.raises(CheckpointError, match="batch normalisation inside its convolutions"):
        make_runner(**options, **dict.fromkeys(fixed, False)).train()
    # A new head may be trained with the statistics of its batches.
    made = {
        "model__bbox_head__norm_eval": False,
        "model__bbox_head__feat_channels": 32,
        "model__neck__out_channels": 32,
    }
    make_runner(**options, **fixed | made).train()


def test_a_class_layer_for_each_level_is_drawn_anew_by_names(tmp_path):
    """Rows of classes of the same name are kept, at each level."""
    from rdet.class_rows import with_rows_of_classes

    trained, wanted = ["a", "b", "c", "d", "e"], ["x", "d", "b"]
    old, new = detector(5).state_dict(), detector(3).state_dict()
    found = with_rows_of_classes(old, new, trained, wanted, "a.pth")
    for level in range(3):
        for kind in ("weight", "bias"):
            name = f"bbox_head.conv_cls.{level}.{kind}"
            assert torch.equal(found[name], torch.stack([new[name][0], old[name][3], old[name][1]]))
    assert all(found[name].shape == new[name].shape for name in new)
