"""NanoDet-m from its authors' exported files."""

import sys

import numpy as np
import pytest
import torch
from nanodet_files import detector, folded, raw, write_onnx
from torch import nn

from rdet.apis.inference import init_detector
from rdet.errors import CheckpointError, MissingFileError, MissingModuleError
from rdet.interop.convert import convert_checkpoint, open_checkpoint
from rdet.interop.nanodet_onnx import _BLOCKS

onnx = pytest.importorskip("onnx")
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


def test_without_onnx_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "a.onnx").touch()
    with pytest.raises(MissingModuleError, match="needs the package onnx; install it: pip install onnx"):
        open_checkpoint(tmp_path / "a.onnx")


def test_blocks_are_those_of_the_network():
    backbone = detector().backbone
    assert {stage: len(getattr(backbone, f"stage{stage}")) for stage in (2, 3, 4)} == _BLOCKS
