"""Files whose convolutions are int8, and the search for those that stay in float."""

import json

import cv2
import numpy as np
import pytest
import torch
from exported_families import detector, once
from mmengine.config import Config

from rdet.commands import export as export_command
from rdet.deploy import command, formats, int8
from rdet.deploy.calibration import Calibration
from rdet.deploy.export import ExportOptions, _job, export_detector
from rdet.deploy.int8 import search
from rdet.deploy.layer_groups import groups_of
from rdet.deploy.loading import load_exported
from rdet.deploy.quantization import Limit
from rdet.errors import ConfigError, DatasetError, EvaluationError

for package in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A detector with a training set of seven noisy pictures of 60 x 90 pixels, whose pipeline flips and distorts."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    truth = {"images": [], "annotations": [], "categories": [{"id": n, "name": f"class{n}"} for n in range(3)]}
    for number in range(1, 8):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(256, size=(60, 90, 3), dtype=np.uint8))
        truth["images"].append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 90})
        box = {"id": number, "image_id": number, "category_id": 0, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
        truth["annotations"].append(box)
    (folder / "truth.json").write_text(json.dumps(truth))
    made = detector("RetinaNet")
    augmented = [
        {"type": "LoadImageFromFile"},
        {"type": "RandomFlip", "prob": 1.0},
        {"type": "PhotoMetricDistortion"},
        {"type": "PackDetInputs"},
    ]
    data = {"type": "CocoDataset", "data_root": str(folder), "ann_file": "truth.json", "pipeline": augmented}
    wrapped = {"type": "RepeatDataset", "times": 2, "dataset": data}
    made.cfg = Config({**made.cfg.to_dict(), "train_dataloader": {"dataset": wrapped}})
    return made


@pytest.fixture(scope="module")
def onnx_model(model):
    """Its ONNX model in float32, of outputs of the head, which takes most of the time."""
    return formats.onnx_model(_job(model, ExportOptions(head="decoded", size=(64, 96), batch=1)))


@pytest.fixture
def export(model, onnx_model, monkeypatch, tmp_path):
    """Writes a file of int8."""
    monkeypatch.setattr(int8, "onnx_model", lambda job: onnx_model)

    def write(kind, limit=None):
        options = ExportOptions(kind, "decoded", (64, 96), 1, dtype="int8", calibration_images=5)
        return export_detector(model, tmp_path / "a", options, None, limit)

    return write


def test_calibration_is_on_training_images_as_the_file_gets_them(model):
    metadata = _job(model, ExportOptions(size=(64, 96), batch=2)).metadata
    data = Calibration(model.cfg, metadata, 5, seed=0)
    again = Calibration(model.cfg, metadata, 5, seed=0)
    other = Calibration(model.cfg, metadata, 5, seed=1)
    batches = list(data)
    assert len(batches) == len(data) == 3
    assert batches[0]["images"].shape == (2, 3, 64, 96)
    assert batches[0]["image_sizes"].tolist() == [[60, 90]] * 2
    folder = model.cfg.train_dataloader.dataset.dataset.data_root
    files = {cv2.imread(f"{folder}/{number}.png").transpose(2, 0, 1).tobytes() for number in range(1, 8)}
    seen = [image[:, :60, :90].tobytes() for batch in batches for image in batch["images"]]
    assert set(seen) <= files
    assert len(set(seen)) == 5
    assert seen[5] == seen[0]  # the last batch is filled up
    assert not batches[0]["images"][:, :, 60:].any()
    assert seen == [image[:, :60, :90].tobytes() for batch in again for image in batch["images"]]
    assert seen != [image[:, :60, :90].tobytes() for batch in other for image in batch["images"]]
    assert Calibration(model.cfg, metadata, 300, seed=0).number == 7
    free = _job(model, ExportOptions()).metadata
    assert next(iter(Calibration(model.cfg, free, 1, seed=0)))["images"].shape == (1, 3, 64, 96)


def test_without_a_training_set_one_line_says_so(tmp_path):
    bare = detector("RetinaNet")
    with pytest.raises(ConfigError, match="calibrated on images of the training set, and the config has no train_data"):
        export_detector(bare, tmp_path / "a.onnx", ExportOptions(dtype="int8"))
    data = {"type": "CocoDataset", "data_root": str(tmp_path / "none"), "ann_file": "truth.json", "pipeline": []}
    bare.cfg = Config({**bare.cfg.to_dict(), "train_dataloader": {"dataset": data}})
    with pytest.raises(DatasetError, match=r"none/truth.json"):
        export_detector(bare, tmp_path / "a.onnx", ExportOptions(dtype="int8"))
    with pytest.raises(ConfigError, match="--dtype int8 is of --format onnx or openvino, not of torchscript"):
        export_detector(bare, tmp_path / "a", ExportOptions("torchscript", dtype="int8"))
    assert not list(tmp_path.iterdir())


def boxes_and_scores(model, path):
    """Of the file's candidates, and how far they are from the detector's on one picture: mean of both."""
    image = torch.from_numpy(np.random.default_rng(9).integers(256, size=(3, 64, 96), dtype=np.uint8))
    found = load_exported(path).run([image], (64, 96))
    with torch.no_grad():
        from rdet.deploy.tensor_detector import TensorDetector

        own = TensorDetector(model, "decoded")(image[None], torch.tensor([[64, 96]]))
    first, second = (scores.sort(descending=True).values for scores in (found["scores"], own[1]))
    return float((first - second).abs().mean())


def only(part):
    """A limit that only files with a part in float keep to; notes what was tried."""
    tried = []

    def lost(path):
        tried.append(tuple(load_exported(path).metadata.quantization["in_float"]))
        return 0.0 if part in tried[-1] else 0.1

    return Limit(lost, 0.01), tried


def _kinds(path):
    import onnx

    return {node.op_type for node in onnx.load(path).graph.node}


def test_onnx(export, model):
    import onnx

    kinds = []
    path = export("onnx")
    made = onnx.load(path)
    onnx.checker.check_model(made)
    maker = {output: node for node in made.graph.node for output in node.output}
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    assert all(maker[name].op_type == "DequantizeLinear" for node in convolutions for name in node.input[:2])
    after = [node for node in made.graph.node if node.op_type in ("Sigmoid", "TopK", "Exp")]
    assert after
    assert not {maker[node.input[0]].op_type for node in after if node.input[0] in maker} & {"DequantizeLinear"}
    said = load_exported(path).metadata
    assert said.dtype == "int8"
    assert said.quantization["calibration_images"] == 5
    assert said.quantization["in_float"] == []
    assert said.quantization["by"].startswith("onnxruntime")
    assert 0 < boxes_and_scores(model, path) < 0.02

    limit, tried = only("bbox_head.conv_reg")
    made = onnx.load(export("onnx", limit))
    maker = {output: node for node in made.graph.node for output in node.output}
    in_float = {node.input[1] for node in made.graph.node if node.op_type == "Conv" and node.input[1] not in maker}
    assert in_float == {"detector.bbox_head.conv_reg.weight"}
    assert tried[0] == ()
    assert len(set(tried)) == len(tried)

    with pytest.raises(EvaluationError):
        export("onnx", Limit(lambda path: kinds.append(_kinds(path)) or 1.0, 0.01))
    assert "QuantizeLinear" in kinds[0]
    assert not {"QuantizeLinear", "DequantizeLinear"} & kinds[-1]  # nor is what stands between convolutions int8


def test_openvino(export, model, onnx_model):
    import openvino

    groups = groups_of(onnx_model)
    apart, in_float = {}, {}

    def lost(path):
        kept = tuple(load_exported(path).metadata.quantization["in_float"])
        apart[kept] = boxes_and_scores(model, path)
        nodes = openvino.Core().read_model(path).get_ordered_ops()
        convolutions = [node for node in nodes if node.get_type_name() == "Convolution"]
        in_float[kept] = sum(node.input_value(0).get_node().get_type_name() != "FakeQuantize" for node in convolutions)
        return float(len(kept) < len(groups))

    said = load_exported(export("openvino", Limit(lost, 0.0))).metadata
    assert said.dtype == "int8"
    assert said.quantization["by"].startswith("nncf")
    assert said.quantization["calibration_images"] == 5
    assert sorted(said.quantization["in_float"]) == sorted(groups)
    assert in_float[()] == 0
    total = sum(len(nodes) for nodes in groups.values())
    for name, nodes in groups.items():
        others = tuple(other for other in groups if other != name)
        assert in_float[others] == total - len(nodes), name
    assert 0 < apart[()] < 0.02
    # With all in float, only sums are rounded.
    assert apart[tuple(said.quantization["in_float"])] < apart[()] / 3


def test_a_part_with_most_convolutions_is_taken_apart():
    from onnx import helper

    def model_of(weights):
        nodes = [helper.make_node("Conv", ["x", weight], ["y"], str(place)) for place, weight in enumerate(weights)]
        return helper.make_model(helper.make_graph(nodes, "", [], []))

    blocks = [f"detector.backbone.net.blocks.{index // 3}.{index % 3}.conv.weight" for index in range(6)]
    head = ["detector.bbox_head.convs.0.weight"] * 5  # one that levels share
    found = groups_of(model_of(["detector.backbone.net.stem.weight", *blocks, *head]))
    assert found == {
        "backbone.net.stem": ["0"],
        "backbone.net.blocks.0": ["1", "2", "3"],
        "backbone.net.blocks.1": ["4", "5", "6"],
        "bbox_head.convs": ["7", "8", "9", "10", "11"],
    }
    assert groups_of(model_of(["detector.backbone.weight"])) == {"backbone.weight": ["0"]}


def test_the_search_keeps_what_loses_most():
    costs = {"stem": 0.004, "neck": 0.001, "cls": 0.006, "reg": 0.002}
    tried = []

    def lost(parts):
        tried.append(list(parts))
        return sum(costs.values()) - sum(costs[part] for part in parts)

    lines = []
    limit = Limit(lambda path: 0.0, 0.0035, lines.append)
    assert search(list(costs), lost, limit) == ["cls", "stem"]
    alone = [[other for other in costs if other != part] for part in costs]
    assert tried == [[], *alone, ["cls", "stem", "reg", "neck"], ["cls", "stem"], ["cls"]]
    assert "cls alone in int8: 0.0060 lost (3 of 4)" in lines
    assert lines[-1] == "cls in float: 0.0070 lost"
    tried.clear()
    assert search(list(costs), lost, Limit(limit.lost, 0.02)) == []
    assert tried == [[]]
    for most, number in ((0.0075, 1), (0.0015, 3), (0.0005, 4)):
        assert search(list(costs), lost, Limit(limit.lost, most)) == ["cls", "stem", "reg", "neck"][:number]
    with pytest.raises(EvaluationError, match=r"0\.0100 is lost even with all convolutions in float"):
        search(list(costs), lambda parts: 0.01, limit)


def test_the_search_finds_two_parts_of_which_each_loses_all():
    def lost(parts):
        return float(not {"stem", "cls"} <= set(parts))

    found = search(["stem", "neck", "cls", "reg", "conv"], lost, Limit(lambda path: 0.0, 0.01))
    assert sorted(found) == ["cls", "stem"]


def test_the_command_judges_by_ap(config, tmp_path, monkeypatch, capsys, make_runner):
    runner = make_runner("test")
    state = {"meta": {"cfg": runner.cfg.pretty_text, "dataset_meta": {"classes": ("bright", "red")}}}
    torch.save({**state, "state_dict": runner.model.state_dict()}, tmp_path / "tiny.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formats, "onnx_model", kept := once(formats.onnx_model))
    monkeypatch.setattr(int8, "onnx_model", kept)
    words = ["rdet", str(config), "tiny.pth", "--dtype", "int8", "--size", "64", "--batch", "1", "--num-images", "2"]
    monkeypatch.setattr("sys.argv", [*words, "--val", "--max-drop", "0.9"])
    export_command.main()
    said = capsys.readouterr().out
    assert "all convolutions in int8: " in said
    assert "lost, 0.9 may be" in said
    assert "calibrated on 13 images; in float: no convolution" in said
    assert "coco/bbox_mAP: " in said
    assert load_exported("tiny.onnx").metadata.quantization["in_float"] == []
    monkeypatch.setattr("sys.argv", [*words, "--out", "b"])
    export_command.main()
    assert "differences of int8 are not judged; --val judges by the AP that is lost" in capsys.readouterr().out
    monkeypatch.setattr(command, "metrics_of", lambda step, *_: {"coco/bbox_mAP": float(step.__name__ == "<lambda>")})
    monkeypatch.setattr("sys.argv", [*words, "--out", "c", "--val"])
    with pytest.raises(SystemExit):
        export_command.main()
    assert "1.0000 is lost even with all convolutions in float" in capsys.readouterr().err
    assert not (tmp_path / "c.onnx").exists()


def test_options_of_the_command(monkeypatch, capsys):
    for words, message in (
        (["--max-drop", "0.01"], "--max-drop is of --dtype int8"),
        (["--calibration-images", "5"], "--calibration-images is of --dtype int8"),
        (["--dtype", "int8", "--max-drop", "0.01"], "add --val"),
        (["--dtype", "int8", "--tolerance", "1", "1"], "judged by the AP"),
        (["--dtype", "int8", "--format", "torchscript"], "of --format onnx or openvino"),
    ):
        monkeypatch.setattr("sys.argv", ["rdet", "mmdet://atss_r50_fpn_1x_coco", *words])
        with pytest.raises(SystemExit):
            export_command.parse_args()
        assert message in capsys.readouterr().err, words
    monkeypatch.setattr("sys.argv", ["rdet", "mmdet://atss_r50_fpn_1x_coco", "--dtype", "int8", "--val"])
    args = export_command.parse_args()
    assert (args.calibration_images, args.max_drop, args.seed) == (300, 0.005, 0)
