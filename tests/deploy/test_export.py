"""Exported files find what their detector finds."""

import json
import zipfile
from types import SimpleNamespace

import pytest
import torch
from exported_families import FAMILIES, PIPELINE, batch, copied, detector, once
from mmengine.structures import InstanceData

from rdet.deploy import formats
from rdet.deploy.at_size import detect_at_size
from rdet.deploy.candidates import candidates_of
from rdet.deploy.command import open_for_comparison, packed
from rdet.deploy.compare import Difference, add_image, check_within, compare
from rdet.deploy.edges import Edges
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.tensorrt import check_tensorrt
from rdet.errors import ConfigError, EvaluationError
from rdet.models.detectors.torchvision_detector import TorchvisionDetector

onnx = pytest.importorskip("onnx")
for package in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)

# Batches of 1, 2 and 7; portrait, landscape, small; sides that are no multiples of 32.
BATCHES = [((50, 60),), ((90, 60), (94, 33)), tuple((61 + index, 96 - 3 * index) for index in range(7))]


def difference(model, path, batches=BATCHES):
    """Of all detections of a file and its detector."""
    exported = open_for_comparison(path)
    total, edges = Difference(), Edges.of(model, 0.05, 1e-3)
    for number, sizes in enumerate(batches):
        data = batch(*sizes, seed=number)
        own = detect_at_size(model, copied(data), exported.metadata.size)
        for one, other in zip(own, exported.test_step(copied(data)), strict=True):
            add_image(total, str(number), one.pred_instances, other.pred_instances, edges)
    return total


def check(total):
    assert total.is_within(0.05, 1e-3), (total, total.where)
    assert total.found > 100
    assert total.on_the_edge <= total.found / 20


@pytest.fixture
def one_model(monkeypatch):
    """Has the exports of a test share the ONNX model of the first, which takes nearly all of the time."""
    monkeypatch.setattr(formats, "onnx_model", once(formats.onnx_model))


# Sides that are free take the exporter three times as long; one class is what a family without it could drop.
FREE, ONE_CLASS = ("RetinaNet", "ATSS"), ("GFL",)
DEFORMABLE = {"DDOD": 4, "VFNet": 4, "TOOD": 2, "TOOD of MMDetection": 2}  # of all levels


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("FCOS 2019", "SSD")])  # below
def test_every_family_in_both_runtimes(family, tmp_path, one_model):
    model = detector(family, classes=1 if family in ONE_CLASS else 3)
    size = None if family in FREE else (96, 128)
    path = export_detector(model, tmp_path / "a.onnx", ExportOptions(size=size))
    check(difference(model, path))
    check(difference(model, export_detector(model, tmp_path / "a", ExportOptions("openvino", size=size))))
    # One sampling of each deformable convolution: by gathers, an export has twice the operators.
    samplings = sum(node.op_type == "GridSample" for node in onnx.load(path).graph.node)
    assert samplings == DEFORMABLE.get(family, 0)


@pytest.mark.parametrize(("head", "family", "classes"), [("raw", "FCOS", 1), ("decoded", "FCOS 2019", 80)])
def test_heads_of_one_size(head, family, classes, tmp_path, one_model):
    model = detector(family, classes)
    options = {"head": head, "size": (96, 128)}
    check(difference(model, export_detector(model, tmp_path / "a.onnx", ExportOptions(**options))))
    check(difference(model, export_detector(model, tmp_path / "a.xml", ExportOptions("openvino", **options))))


def test_raw_outputs_of_free_sides(tmp_path, one_model):
    model = detector("ATSS")
    check(difference(model, export_detector(model, tmp_path / "a.onnx", ExportOptions(head="raw"))))
    check(difference(model, export_detector(model, tmp_path / "a.xml", ExportOptions("openvino", head="raw"))))


def test_levels_of_one_cell_are_larger_for_larger_images(tmp_path, one_model):
    model = detector("SSD")
    batches = [((50, 60),), ((290, 330), (280, 200))]  # the last level: one cell, and 2 x 2
    check(difference(model, export_detector(model, tmp_path / "a.onnx"), batches))
    check(difference(model, export_detector(model, tmp_path / "a.xml", ExportOptions("openvino")), batches))


def test_torch_of_free_sides(tmp_path):
    model = detector("RetinaNet")
    path = export_detector(model, tmp_path / "a", ExportOptions("exported_program"))
    check(difference(model, path))
    # Nothing of it is unpickled.
    names = zipfile.ZipFile(path).namelist()
    assert not [name for name in names if name.endswith(".pt") and zipfile.ZipFile(path).getinfo(name).file_size]
    check(difference(model, export_detector(model, tmp_path / "a", ExportOptions("torchscript"))))


def test_what_mixed_precision_must_not_reach_is_no_operator_of_a_program(tmp_path):
    model = detector("NanoDet")
    model.bbox_head.autocast = False
    path = export_detector(model, tmp_path / "a", ExportOptions("exported_program", size=(96, 128)))
    check(difference(model, path))


def test_only_detectors_of_rdets_parts(tmp_path):
    model = TorchvisionDetector("ssdlite320_mobilenet_v3_large", num_classes=3)
    with pytest.raises(ConfigError, match="^TorchvisionDetector cannot be exported, only .*; take one of configs/"):
        export_detector(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_suppression_that_files_lack_is_done_outside(tmp_path):
    model = detector("RetinaNet", type="SoftNMSPostprocess")
    with pytest.raises(ConfigError, match="--head decoded"):
        export_detector(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
    check(difference(model, export_detector(model, tmp_path / "a.onnx", ExportOptions(head="decoded", size=(96, 128)))))


def test_a_thousand_detections_of_batches_of_one_number(tmp_path):
    model = detector("RetinaNet", iou_threshold=0.9, topk_per_level=1000, max_per_img=1000)
    path = export_detector(model, tmp_path / "a.onnx", ExportOptions(size=(96, 128), batch=2))
    total = difference(model, path)
    check(total)
    assert total.found > 5000


def test_tensorrt_ready(tmp_path):
    model = detector("FCOS")
    path = export_detector(model, tmp_path / "a", ExportOptions("tensorrt-ready", size=(96, 128)))
    made = onnx.load(path)
    assert made.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    check(difference(model, path))
    with pytest.raises(ConfigError, match="--size WIDTHxHEIGHT"):
        export_detector(model, tmp_path / "b", ExportOptions("tensorrt-ready"))
    for name in ("topk_per_level", "max_per_img"):
        many = detector("FCOS", **{name: 3841})
        with pytest.raises(ConfigError, match=f"model.postprocess.{name} is 3841, .* 3840 at most"):
            export_detector(many, tmp_path / "b", ExportOptions("tensorrt-ready", size=(96, 128)))
    made.graph.node[0].op_type = "DeformConv"
    with pytest.raises(ConfigError, match="TensorRT has no operator DeformConv"):
        check_tensorrt(made)


def test_weights_of_half_precision_halve_the_file(tmp_path):
    model = detector("RetinaNet")
    whole = export_detector(model, tmp_path / "a.onnx", ExportOptions(head="raw", size=(96, 128)))
    options = ExportOptions(head="raw", size=(96, 128), dtype="float16")
    half = export_detector(model, tmp_path / "b.onnx", options)
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert whole.stat().st_size - half.stat().st_size > 1.8 * weights
    assert 0 < difference(model, half).scores < 0.02
    model.bbox_head.conv_cls.weight.data[0, 0, 0, 0] = 1e5
    with pytest.raises(ConfigError, match="numbers beyond 65504"):
        export_detector(model, tmp_path / "c.onnx", options)
    with pytest.raises(ConfigError, match="exported_program keeps float32"):
        export_detector(model, tmp_path / "c", ExportOptions("exported_program", dtype="float16"))


def test_options_that_do_not_go_together(tmp_path):
    model = detector("RetinaNet")
    with pytest.raises(ConfigError, match="--size 100x96 is no multiple of 32.*take 128x96"):
        export_detector(model, tmp_path / "a.onnx", ExportOptions(size=(96, 100)))
    with pytest.raises(ConfigError, match="opset 17 is not written; give 18 to 23"):
        export_detector(model, tmp_path / "a.onnx", ExportOptions(opset=17))
    with pytest.raises(ConfigError, match=r"a.onnx does not end in .pt2, as files of exported_program do"):
        export_detector(model, tmp_path / "a.onnx", ExportOptions("exported_program"))
    assert not list(tmp_path.iterdir())
    source = tmp_path / "released.onnx"  # weights may be read of such a file, and the default name is theirs
    source.write_bytes(b"weights")
    with pytest.raises(ConfigError, match=r"released.onnx is the checkpoint, which would be written over"):
        export_detector(model, tmp_path / "released", ExportOptions(weights=str(source)))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"weights"]


def test_a_network_that_takes_no_other_size(tmp_path):
    model = detector("RetinaNet")
    forward = model.backbone.forward

    def refuse(x):
        if x.shape[2:] != (96, 128):
            raise RuntimeError("Kernel size can't be greater than actual input size")
        return forward(x)

    model.backbone.forward = refuse
    steps = [[], [{"type": "Resize", "scale": (120, 96)}], [{"type": "Resize", "scale": 90, "keep_ratio": True}]]
    steps += [[*steps[2], {"type": "Pad", "size": (96, 70)}], [steps[1][0], steps[2][0]]]
    sizes = [None, "128x96", None, "96x96", None]
    for pipeline, made in zip(steps, sizes, strict=True):
        remedy = f"give --size {made}, which its pipeline makes of all images" if made else "a fixed --size may do"
        model.cfg.test_dataloader.dataset.pipeline = [PIPELINE[0], *pipeline, PIPELINE[1]]
        with pytest.raises(ConfigError, match=f"cannot be exported .RuntimeError: Kernel size .*; {remedy}"):
            export_detector(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_what_a_file_says_of_itself(tmp_path):
    model = detector("FCOS")
    resize = {"type": "Resize", "scale": (90, 60), "on_device": True}
    model.cfg.test_dataloader.dataset.pipeline = [PIPELINE[0], resize, PIPELINE[1]]
    path = export_detector(model, tmp_path / "a.onnx", ExportOptions(size=(96, 128), weights="best.pth", opset=20))
    made = onnx.load(path)
    onnx.checker.check_model(made)
    assert {entry.domain: entry.version for entry in made.opset_import}[""] == 20
    said = json.loads({entry.key: entry.value for entry in made.metadata_props}["rdet.export"])
    assert (said["classes"], said["weights"], said["size"]) == (["class0", "class1", "class2"], "best.pth", [96, 128])
    fit = {"type": "FitWithin", "size": [128, 96]}
    assert said["pipeline"][1:3] == [{"type": "Resize", "scale": [90, 60]}, fit]  # by the host
    assert said["postprocess"]["topk_per_level"] == 60
    assert "FCOSHead" in said["config"]
    assert [output.name for output in made.graph.output] == said["outputs"] == ["boxes", "scores", "labels", "counts"]
    assert b"site-packages" not in path.read_bytes()
    k = [node.input[1] for node in made.graph.node if node.op_type == "TopK"]
    assert k
    assert set(k) <= {tensor.name for tensor in made.graph.initializer}  # constants


def test_a_difference_is_seen_and_leaves_no_file(tmp_path):
    model = detector("RetinaNet")

    def refuse(path):
        exported = open_for_comparison(path)
        other = detector("RetinaNet")
        other.bbox_head.conv_reg.bias.data += 0.01
        data = batch((96, 96))
        total, edges = Difference(), Edges.of(model, 0.05, 1e-3)
        (own,), (found,) = other.test_step(copied(data)), exported.test_step(copied(data))
        add_image(total, "x.jpg", own.pred_instances, found.pred_instances, edges)
        check_within(total, tmp_path / "a.onnx", 0.05, 1e-3)

    with pytest.raises(EvaluationError, match=r"a.onnx does not find what the detector finds: .*nothing is written"):
        export_detector(model, tmp_path / "a.onnx", ExportOptions(size=(96, 96)), refuse)
    assert not list(tmp_path.iterdir())


def found(*rows):
    """Detections of rows x, y, x, y, score, class."""
    rows = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    return InstanceData(bboxes=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].long())


def test_what_counts_as_a_difference():
    edges = Edges(0.05, 3, 0.5, False)
    a, b = (0, 0, 10, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 1)
    cases = {
        "in another order": ((a, b), (b, a), (0, 0, 0)),
        "of another class": ((a,), ((*a[:5], 1),), (0, 0, 2)),
        "at the threshold": ((a, (20, 20, 30, 30, 0.0501, 0)), (a,), (0, 1, 0)),
        "at the overlap": ((a, (0, 0, 10, 5, 0.5, 0)), (a,), (0, 1, 0)),
        "at the overlap, of a weaker one": (((0, 0, 10, 5, 0.95, 0),), (a,), (0, 1, 1)),
        "dropped by it": ((a, (0, 0, 10, 5, 0.5, 0)), (a, (0, 0, 10, 4, 0.4, 0)), (0, 2, 0)),
        "at the last of an image": ((a, b, (*b[:5], 2)), (a, b, (9, 9, 20, 20, 0.8, 2)), (0, 2, 0)),
        "of one alone": ((a, (20, 20, 30, 30, 0.5, 0)), (a,), (0, 0, 1)),
        "none": ((), (), (0, 0, 0)),
        "moved": ((a,), ((0.25, 0, 10, 10, 0.9, 0),), (0.25, 0, 0)),
        "moved far": ((a,), ((2, 0, 10, 10, 0.9, 0),), (0, 0, 2)),
    }
    for name, (own, other, (boxes, edge, unlike)) in cases.items():
        total = Difference()
        add_image(total, "x", found(*own), found(*other), edges)
        assert (total.boxes, total.on_the_edge, total.unlike) == (boxes, edge, unlike), name
        assert total.is_within(0.05, 1e-3) == (not unlike and not boxes)


def test_images_where_there_are_no_val_data(capsys, tmp_path):
    cfg = detector("RetinaNet").cfg
    cfg.test_dataloader.dataset |= {"ann_file": str(tmp_path / "absent.json"), "data_prefix": {"img": ""}}
    shapes = [one["inputs"].shape for one in packed(cfg, PIPELINE, None, 3)]
    assert shapes == [(3, 250, 333), (3, 333, 250), (3, 250, 333)]
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "absent.json" in said
    assert "compared on generated ones, see --images" in said
    cfg.test_dataloader = None
    assert len(packed(cfg, PIPELINE, None, 1)) == 1


@pytest.mark.parametrize(("takes", "batches"), [(None, [1] * 8 + [2] * 4 + [7, 1]), (3, [3, 3, 2])])
def test_a_file_is_compared_in_batches(takes, batches):
    model, seen = detector("RetinaNet", score_thr=0.2), []

    def test_step(data):
        seen.append(len(data["inputs"]))
        return detect_at_size(model, data, (96, 128))

    file = SimpleNamespace(batch_size=takes, metadata=SimpleNamespace(size=(96, 128)), test_step=test_step)
    whole = batch(*((40 + 7 * index, 128 - 11 * index) for index in range(7)), (96, 96))
    data = [
        {"inputs": image, "data_samples": sample}
        for image, sample in zip(whole["inputs"], whole["data_samples"], strict=True)
    ]
    total = compare(model, file, data, Edges.of(model, 0.05, 1e-3))
    assert seen == batches
    assert total.is_within(1e-4, 1e-6)
    assert (total.found > 8, total.empty) == (True, 0)
    assert "pred_instances" not in whole["data_samples"][0]
    model.postprocess.score_thr = 0.99
    nothing = compare(model, file, data, Edges.of(model, 0.05, 1e-3))
    assert (nothing.found, nothing.empty, nothing.is_within(0.05, 1e-3)) == (0, sum(batches), True)


def test_what_the_detector_nearly_found_counts_as_rounding():
    edges = Edges(0.05, 100, 0.5, False)
    a, b, far = (0, 0, 10, 10, 0.9, 0), (2, 0, 12, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 1)
    cases = {
        "the other of two that score the same": ((a,), (b,), (a, b), (), (2, 0)),
        "a weaker one that a better one drops": ((a,), (a, (*b[:4], 0.8, 0)), (a, (*b[:4], 0.8, 0)), (), (0, 1)),
        "one that the detector has nowhere": ((a,), (b,), (a,), (), (0, 2)),
        "the last of a level": ((a,), (a, far), (a, far), (far,), (1, 0)),
        "the last of a level, of the detector": ((a, far), (a,), (a, far), (far,), (1, 0)),
        "one that is not the last": ((a, far), (a,), (a, far), (a,), (0, 1)),
        "the last of a level, of another class": ((a,), (a, (*far[:5], 2)), (a, far), (far,), (0, 1)),
        "the last of a level, with another score": ((a,), (a, (*far[:4], 0.79, 1)), (a, far), (far,), (0, 1)),
        "the last of a level, elsewhere": ((a,), (a, (50, 50, 60, 60.1, *far[4:])), (a, far), (far,), (0, 1)),
    }
    for name, (own, other, rows, last, (edge, unlike)) in cases.items():
        candidates, total = found(*rows), Difference()
        candidates.at_cut = torch.tensor([row in last for row in rows])
        add_image(total, "x", found(*own), found(*other), edges, lambda candidates=candidates: candidates)
        assert (total.on_the_edge, total.unlike) == (edge, unlike), name


def test_candidates_of_a_detector():
    model, data = detector("ATSS"), batch((90, 60))
    (sample,) = model.test_step(copied(data))
    for size in (None, (96, 128)):
        every = candidates_of(model, data, size, 0.0)
        assert not every.at_cut.all()
        levels = int(every.at_cut.sum())
        assert 1 <= levels <= 4  # of each level with more, the last alone
        assert len(candidates_of(model, data, size, 0.01)) > len(every) > 100
        assert int(candidates_of(model, data, size, 1.0).at_cut.sum()) > 300
    assert model.on_predictions is None
    every = candidates_of(model, data, None, 0.0)
    same = (every.bboxes[None] == sample.pred_instances.bboxes[:, None]).all(dim=2)
    assert same.any(dim=1).all()
    model.postprocess.topk_per_level = 10**6
    every = candidates_of(model, data, None, 1.0)
    assert not every.at_cut.any()
    model.postprocess.score_thr = 0.2
    assert 0 < len(candidates_of(model, data, None, 1.0)) < len(every)
