"""YOLOv3 from darknet's files, and back."""

import os

import numpy as np
import pytest
import torch
from interop.test_yolov3 import CONFIGS, detector

from rdet.config import load_config
from rdet.errors import CheckpointError, MissingFileError, OutputError
from rdet.interop.convert import convert_checkpoint, open_checkpoint
from rdet.interop.darknet import read_darknet, write_darknet
from rdet.interop.origins import origin_of

HEADER = np.array([0, 2, 5, 7, 0], dtype="<i4").tobytes()  # 7 images seen


def darknets_order(model):
    """A YOLOv3's convolutions as darknet's yolov3.cfg has them: with their normalisation, or three of one layer."""
    layers = [each for each in model.backbone.modules() if hasattr(each, "bn")]
    for level in (2, 1, 0):
        layers += [] if level == 2 else [model.neck.reduce_layers[level]]
        layers += [*model.neck.blocks[level], model.bbox_head.convs[level]]
        head = model.bbox_head
        layers.append([each[level] for each in (head.conv_reg, head.conv_quality, head.conv_cls)])
    return layers


def written(model, make):
    """The bytes of a file of darknet, by its code: biases, scales, means, variances, weights of each convolution."""
    parts = []
    for layer in darknets_order(model):
        if isinstance(layer, list):
            for kind in ("bias", "weight"):
                of_priors = [make(getattr(each, kind)).unflatten(0, (3, -1)) for each in layer]
                parts.append(torch.cat(of_priors, dim=1))
        else:
            norm = layer.bn
            parts += [make(each) for each in (norm.bias, norm.weight, norm.running_mean, norm.running_var)]
            parts.append(make(layer.conv.weight))
    return HEADER + b"".join(part.numpy().tobytes() for part in parts)


def test_there_and_back(tmp_path):
    with torch.device("meta"):
        model = detector("yolov3_d53_608_coco")
    drawn = {}

    def make(parameter):  # 62 million numbers, drawn once
        drawn[id(parameter)] = torch.empty(parameter.shape).uniform_(0.5, 1.5)
        return drawn[id(parameter)]

    path = tmp_path / "yolov3-416.weights"
    path.write_bytes(written(model, make))
    with torch.device("meta"):  # the network that the weights are compared with is made in no time
        content = open_checkpoint(path)
    state = content["state_dict"]
    assert content["meta"]["converted_from"] == f"darknet: {path}"
    assert content["meta"]["description"] == "YOLOv3 with Darknet-53 for 416 pixels, 5 classes"
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    numbers = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert len(numbers) == len(drawn)
    assert all(torch.equal(value, drawn[id(named[name])]) for name, value in numbers.items())
    write_darknet(state, tmp_path / "back.weights")
    theirs, ours = path.read_bytes(), (tmp_path / "back.weights").read_bytes()
    assert ours[:12] == theirs[:12]
    assert ours[20:] == theirs[20:]


def test_the_size_tells_the_classes(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("rdet.interop.darknet.print_log", lambda text, *_, **__: said.append(text))
    path = tmp_path / "yolov3.weights"
    for version, size in (([0, 2, 5, 0, 0], 248007048), ([0, 1, 0, 0], 248007044)):  # as darknet's own file has it
        with open(path, "wb") as file:
            file.write(np.array(version, dtype="<i4").tobytes())
            file.truncate(size)
        _, weights = read_darknet(str(path))
        assert weights["darknet.bbox_head.convs_pred.2.bias"].shape == (3 * 85,)
        assert origin_of(weights) == "darknet"
    assert not said
    os.truncate(path, size - 21540)  # what a class takes
    read_darknet(str(path))
    assert said == [f"{path} is of 79 classes by its size; if its .cfg has others, the file is not whole"]


@pytest.mark.parametrize("content", [b"", b"abc", HEADER, HEADER + bytes(4 * 5385)])
def test_other_files_are_one_line(tmp_path, content):
    path = tmp_path / "yolov4.weights"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{path} has {len(content)} bytes, which no YOLOv3 of Darknet-53"):
        open_checkpoint(path)


def test_what_a_cfg_must_have_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("rdet.interop.convert.write_darknet", lambda state, path: classes)
    cfg = load_config(CONFIGS / "yolov3_d53_416_coco.py")
    weights = {f"{layer}.conv.weight": torch.ones(1) for layer in ("bbox_head.convs.2", "neck.blocks.2.0")}

    def said():
        torch.save({"state_dict": weights, "meta": {"cfg": cfg.pretty_text}}, tmp_path / "a.pth")
        return convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.weights", target="darknet")

    classes = 80
    assert said().endswith("; its .cfg is darknet's yolov3.cfg")
    classes = 5
    assert said().endswith("yolov3.cfg, with classes=5 in each [yolo] and filters=30 before it")
    cfg.model.anchor_generator.sizes[0][0] = (11, 13.5)
    anchors = "anchors=11,13.5,16,30,33,23,30,61,62,45,59,119,116,90,156,198,373,326"
    assert said().endswith(f"filters=30 before it, and {anchors} in each [yolo]")


def test_other_numbers_of_anchors_are_one_line(tmp_path):
    state = detector().state_dict()
    state["bbox_head.conv_quality.1.bias"] = torch.ones(6)
    torch.save({"state_dict": state}, tmp_path / "six.pth")
    message = r"six\.pth: its weight bbox_head\.conv_quality\.1\.bias is of 6 anchors a cell; it is no YOLOv3 of three"
    for out, target in (("a.weights", "darknet"), ("a.pth", "mmdet")):
        with pytest.raises(CheckpointError, match=message):
            convert_checkpoint(tmp_path / "six.pth", tmp_path / out, target=target)


def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(MissingFileError, match=r"no checkpoint at .*nothing\.weights"):
        convert_checkpoint(tmp_path / "nothing.weights", tmp_path / "a.pth")
    torch.save({"state_dict": detector().state_dict()}, tmp_path / "mobile.pth")
    with pytest.raises(CheckpointError, match="is no YOLOv3 with Darknet-53, the only detector that --to darknet"):
        convert_checkpoint(tmp_path / "mobile.pth", tmp_path / "a.weights", target="darknet")
    torch.save({"state_dict": {"backbone.a": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth is no YOLOv3, the only detector that --to darknet"):
        convert_checkpoint(tmp_path / "other.pth", tmp_path / "a.weights", target="darknet")
    for out, target, ending in (("a.pth", "darknet", ".weights"), ("a.weights", "mmdet", ".pth")):
        with pytest.raises(OutputError, match=f"let its name end in {ending}"):
            convert_checkpoint(tmp_path / "mobile.pth", tmp_path / out, target=target)
