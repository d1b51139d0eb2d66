"""Exported files behind the calls of a detector, and files that are none."""

import importlib
import json
import sys
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from exported_families import detector, once

from rdet.apis.det_inferencer import DetInferencer
from rdet.apis.inference import inference_detector, init_detector
from rdet.commands import export as export_command
from rdet.commands import infer
from rdet.commands import test as evaluate
from rdet.deploy import formats
from rdet.deploy.compare import Difference, add_image
from rdet.deploy.edges import Edges
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.loading import is_exported, load_exported
from rdet.deploy.metadata import metadata_of
from rdet.deploy.misnamed import why_no_checkpoint
from rdet.deploy.packages import needed
from rdet.errors import CheckpointError, ConfigError, MissingFileError, NonFiniteDetectionError
from rdet.structures import DetDataSample
from rdet.structures.unfinished_image import UnfinishedImage, finished

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)


@pytest.fixture
def words(monkeypatch, tmp_path):
    """Gives a command its words."""

    def give(*given: object) -> None:
        monkeypatch.setattr("sys.argv", ["rdet", *map(str, given)])

    monkeypatch.chdir(tmp_path)
    return give


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)


def test_from_a_checkpoint_to_a_file_that_is_used_without_a_config(config, tmp_path, words, capsys, make_runner):
    model = make_runner("test").model
    model.bbox_head.conv_cls.weight.data.mul_(20)
    text = make_runner("test").cfg.pretty_text
    classes = {"cfg": text, "dataset_meta": {"classes": ("bright", "red")}}
    torch.save({"meta": classes, "state_dict": model.state_dict()}, tmp_path / "tiny.pth")
    words("tiny.pth", "--format", "exported_program", "--size", "64", "--val", "--num-images", "3")
    export_command.main()
    said = capsys.readouterr().out
    assert "largest difference of 180 detections" in said
    line = next(line for line in said.splitlines() if line.startswith("coco/bbox_mAP:"))
    first, second = (float(part.split(" by ")[0]) for part in line.partition(": ")[2].split(", "))
    assert first == second
    assert "tiny.pt2: exported_program, --head end2end, any number of images of 64 x 64 pixels" in said

    found = init_detector("tiny.pt2")
    assert found.classes == ("bright", "red")
    eager = init_detector(config, tmp_path / "tiny.pth")
    image = str(tmp_path / "1.png")
    one, other = (inference_detector(detector, image).pred_instances for detector in (eager, found))
    torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=1e-3)
    assert DetInferencer("tiny.pt2")(image)["predictions"][0]["labels"] == other.labels.tolist()

    words("tiny.pt2", "1.png", "--to", "json", "--score-thr", "0")
    infer.main()
    rows = json.loads((tmp_path / "detections" / "json" / "1.json").read_text())
    assert len(rows["detections"]) == len(other)

    results = []
    for given in (("tiny.pt2",), (config, "tiny.pth")):
        words(*given, "--out", "found.json", "--work-dir", f"work{len(results)}")
        evaluate.main()
        results.append(json.loads((tmp_path / "found.json").read_text()))
    scores = [sorted(row["score"] for row in rows) for rows in results]
    np.testing.assert_allclose(*scores, atol=1e-5)

    words("tiny.pt2")
    with pytest.raises(SystemExit):
        export_command.main()
    assert "tiny.pt2 is exported already; give the checkpoint that it was made of" in capsys.readouterr().err

    words("tiny.pt2", "--cfg-options", "test_dataloader.batch_size=3")
    with pytest.raises(SystemExit):
        evaluate.main()
    assert "test_dataloader has no dataset to test on; change val_dataloader instead" in capsys.readouterr().err

    words("tiny.pt2", "--amp")
    with pytest.raises(SystemExit):
        evaluate.main()
    assert "as it was exported; leave it out" in capsys.readouterr().err


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with one detector as a file of each kind, for images of 64 x 96."""
    folder = tmp_path_factory.mktemp("files")
    model = detector("RetinaNet")
    options = {"head": "decoded", "size": (64, 96), "batch": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "onnx_model", once(formats.onnx_model))
        for kind in ("onnx", "openvino", "exported_program"):
            export_detector(model, folder / "a", ExportOptions(kind, **options))
    return folder


NAMES = ("a.onnx", "a.xml", "a.pt2")


def test_images_of_any_shape_go_into_one_size(files):
    samples = {
        name: inference_detector(init_detector(files / name), [picture(300, 90), picture(20, 30)]) for name in NAMES
    }
    for name in NAMES:
        for own, other in zip(samples["a.onnx"], samples[name], strict=True):
            assert own.ori_shape in ((300, 90), (20, 30))
            total = Difference()
            add_image(total, name, own.pred_instances, other.pred_instances, Edges(0.0, 40, 0.5, False))
            assert total.is_within(0.05, 1e-3), total.where
            assert len(own.pred_instances) == len(other.pred_instances) == 40
    tall = samples["a.onnx"][0]
    assert tall.img_shape == (64, 19)
    assert tall.pred_instances.bboxes[:, 3].max() > 200


def test_images_that_a_device_was_to_resize_are_resized_for_it(files):
    file = init_detector(files / "a.onnx")
    samples = [DetDataSample(metainfo={"img_shape": (60, 90), "scale_factor": (1.0, 1.0)}) for _ in range(2)]
    left = UnfinishedImage(torch.from_numpy(picture(30, 40).transpose(2, 0, 1).copy()), (60, 90), (2,))
    assert file.batch_key(left) == file.batch_key(finished(left))
    found = file.test_step({"inputs": [left, finished(left)], "data_samples": samples})
    assert found[0].pred_instances.bboxes.equal(found[1].pred_instances.bboxes)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_one_line(name, files, tmp_path):
    content = (files / name).read_bytes()
    (tmp_path / "a.bin").write_bytes((files / "a.bin").read_bytes())
    if name == "a.xml":
        (tmp_path / name).write_bytes(content)
        (tmp_path / "a.bin").write_bytes((files / "a.bin").read_bytes()[::-1])  # as of another training
        with pytest.raises(CheckpointError, match=r"a\.bin is damaged, or of another model than .*a\.xml"):
            load_exported(tmp_path / name)
    for keep in (0, 1, 100, len(content) // 2, len(content) - 40):
        (tmp_path / name).write_bytes(content[:keep])
        with pytest.raises(CheckpointError, match=name) as caught:
            load_exported(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(MissingFileError, match="no file at"):
        load_exported(tmp_path / "none" / name)
    with pytest.raises(ConfigError, match="does not run on device 'xpu'|cannot be used"):
        load_exported(files / name, "xpu")


def test_weights_of_openvino_that_are_not_there(files, tmp_path):
    (tmp_path / "a.xml").write_bytes((files / "a.xml").read_bytes())
    with pytest.raises(CheckpointError, match=r"has its weights in .*a.bin, which is not there"):
        load_exported(tmp_path / "a.xml")


def test_an_onnx_file_of_another_project_is_no_export(files, tmp_path):
    onnx = pytest.importorskip("onnx")
    made = onnx.load(files / "a.onnx")
    del made.metadata_props[:]
    onnx.save(made, tmp_path / "b.onnx")
    assert is_exported(files / "a.onnx")
    assert not is_exported(tmp_path / "b.onnx")
    with pytest.raises(CheckpointError, match="is no file that 'rdet export' wrote"):
        load_exported(tmp_path / "b.onnx")


def test_a_file_of_another_name_is_told(files, tmp_path):
    (tmp_path / "A.ONNX").write_bytes((files / "a.onnx").read_bytes())
    assert is_exported(tmp_path / "A.ONNX")
    assert len(load_exported(tmp_path / "A.ONNX", "cpu").classes) == 3
    for name, kind in (("a.onnx", "an ONNX file"), ("a.xml", "a model of OpenVINO"), ("a.pt2", "an exported program")):
        for other in ("b.pth", "b"):
            (tmp_path / other).write_bytes((files / name).read_bytes())
            with pytest.raises(
                CheckpointError, match=f"is {kind} of 'rdet export', whose name has to end in .{name[2:]}"
            ):
                init_detector(None, tmp_path / other)
    assert why_no_checkpoint(files / "a.onnx").endswith("give the checkpoint that it was made of")
    with zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:
        archive.writestr("b/extra/rdet.export", "{}")
        archive.writestr("b/code/a.py", "")
    with pytest.raises(CheckpointError, match="b.pth is TorchScript, which rdet writes and does not run"):
        init_detector(None, tmp_path / "b.pth")
    (tmp_path / "b.pth").rename(tmp_path / "c.pt2")
    with pytest.raises(CheckpointError, match="c.pt2 is TorchScript by another name, which is code and not run"):
        load_exported(tmp_path / "c.pt2")
    assert why_no_checkpoint(tmp_path / "b.pth") is None
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("ä/data.pkl", b"")
    damaged = (tmp_path / "c.pth").read_bytes().replace("ä".encode(), b"\xc3\xc3")
    (tmp_path / "c.pth").write_bytes(damaged)
    assert why_no_checkpoint(tmp_path / "c.pth") is None


def said_by(files):
    with zipfile.ZipFile(files / "a.pt2") as archive:
        return json.loads(archive.read(next(name for name in archive.namelist() if name.endswith("rdet.export"))))


def test_what_a_file_says_is_checked(files):
    said = said_by(files)
    assert metadata_of(json.dumps(said), "a").classes == ["class0", "class1", "class2"]
    for name in ("quantization", "weights_sha256"):  # of files that are older than the entry
        del said[name]
        assert getattr(metadata_of(json.dumps(said), "a"), name) is None
    for change, message in (
        ({"format": 2, "rdet": "9.0"}, "of export format 2, of rdet 9.0"),
        ({"classes": [1]}, "no usable 'classes'"),
        ({"batch": True}, "no usable 'batch'"),
        ({"quantization": []}, "no usable 'quantization'"),
        ({"size": [64]}, "no meaning"),
        ({"divisor": 0}, "no meaning"),
        ({"batch": 10**9}, "its inputs has no meaning"),
        ({"size": [16384, 16384], "batch": 4096}, "its inputs has no meaning"),
        ({"head": "x"}, "its outputs has no meaning"),
        ({"outputs": ["scores", "boxes", "labels"]}, "its outputs has no meaning"),
        ({"format": "1"}, "damaged"),
    ):
        with pytest.raises(CheckpointError, match=message):
            metadata_of(json.dumps({**said, **change}), "a.onnx")
    for name in said.keys() - {"format"}:
        with pytest.raises(CheckpointError, match=f"no usable '{name}'"):
            metadata_of(json.dumps({key: value for key, value in said.items() if key != name}), "a.onnx")
    for text in ("", "[]", "{", "[" * 100000):
        with pytest.raises(CheckpointError, match="damaged"):
            metadata_of(text, "a.onnx")


def rewritten(source, target, change):
    """A copy of an archive, each file of which ``change`` may replace."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_a_program_that_would_run_code_is_refused(files, tmp_path):
    def with_pipeline(name, content):
        if not name.endswith("rdet.export"):
            return content
        return json.dumps({**json.loads(content), "pipeline": [{"type": "os.system", "command": "true"}]}).encode()

    with pytest.raises(CheckpointError, match="'os.system', which is no registered part"):
        load_exported(rewritten(files / "a.pt2", tmp_path / "a.pt2", with_pipeline))

    def without_pipeline(name, content):
        return json.dumps({**json.loads(content), "pipeline": []}).encode() if name.endswith("rdet.export") else content

    with pytest.raises(CheckpointError, match="pipeline is empty; begin it with dict.type='LoadImageFromFile'"):
        load_exported(rewritten(files / "a.pt2", tmp_path / "a.pt2", without_pipeline))

    def with_text(old, new):
        return lambda name, content: content.replace(old, new) if name.endswith(".json") else content

    for old, new, message in (
        (b"torch.ops.aten.conv2d.default", b"torch.os.system", "the operator 'torch.os.system'"),
        (b'"use_pickle": false', b'"use_pickle": true', "would be unpickled"),
    ):
        path = rewritten(files / "a.pt2", tmp_path / "b.pt2", with_text(old, new))
        assert path.read_bytes() != (files / "a.pt2").read_bytes()
        with pytest.raises(CheckpointError, match=message):
            load_exported(path)


def test_numbers_that_are_not_finite_are_said():
    from rdet.deploy.exported_detector import ExportedDetector

    class Broken:
        name = "none"

        def __call__(self, images, sizes):
            shape = (len(images), 5)
            return [
                np.zeros((*shape, 4), np.float32),
                np.zeros(shape, np.float32),
                np.zeros(shape, np.int64),
                np.full(1, -1),
            ]

    model = detector("RetinaNet")
    from rdet.deploy.export import _job

    exported = ExportedDetector(Broken(), _job(model, ExportOptions()).metadata, "a.onnx")
    with pytest.raises(NonFiniteDetectionError, match="0: a.onnx gives numbers that are not finite"):
        inference_detector(exported, picture(32, 32))


def test_a_picture_with_other_channels(files, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture(40, 40)[..., 0])
    found = inference_detector(init_detector(files / "a.onnx"), str(tmp_path / "a.png"))
    assert len(found.pred_instances) > 5  # grey images are repeated


def test_what_a_file_gives_is_checked_against_what_it_says(files):
    from rdet.deploy.outputs import check_outputs

    decoded = metadata_of(json.dumps(said_by(files)), "a")
    end2end = replace(decoded, head="end2end")
    raw = replace(decoded, head="raw")
    good = {
        "boxes": np.zeros((2, 5, 4), np.float32),
        "scores": np.zeros((2, 5), np.float32),
        "labels": np.full((2, 5), 2),
        "counts": np.array([5, -1]),
    }
    check_outputs(good, end2end, 2, "a.onnx")
    for change, message in (
        ({"boxes": np.zeros((2, 5, 5), np.float32)}, "gives boxes of float32"),
        ({"boxes": np.zeros((2, 6, 4), np.float32)}, "gives boxes"),
        ({"labels": np.full((2, 5), 3)}, "labels from 3 to 3, and says 2 is the last"),
        ({"labels": np.zeros((2, 5))}, "gives labels of float64"),
        ({"counts": np.array([6, 0])}, "counts from 0 to 6, and says 5 is the last"),
        ({"scores": np.zeros((2, 5), bool)}, "gives scores of bool"),
    ):
        with pytest.raises(CheckpointError, match=message):
            check_outputs({**good, **change}, end2end, 2, "a.onnx")
    with pytest.raises(CheckpointError, match="gives boxes"):
        check_outputs(good, end2end, 3, "a.onnx")
    good = {"logits": np.zeros((1, 9, 3), np.float32), "deltas": np.zeros((1, 9, 4), np.float32)}
    check_outputs({**good, "level_sizes": np.array([[3, 3]])}, raw, 1, "a.onnx")
    for sizes in ([[3, 4]], [[2**40, 2**40]], [[0, 9]], [[-3, -3]]):
        with pytest.raises(CheckpointError, match="level_sizes that are not of 9 predictions"):
            check_outputs({**good, "level_sizes": np.array(sizes)}, raw, 1, "a.onnx")


def test_a_network_that_fails_is_one_line(files):
    model = load_exported(files / "a.onnx", "cpu")
    model.metadata = replace(model.metadata, size=[32, 32])
    with pytest.raises(CheckpointError, match=r"a.onnx cannot run on 1 images of 32 x 32 \(") as caught:
        inference_detector(model, picture(32, 32))
    assert "\n" not in str(caught.value)


def test_openvino_tells_nobody_that_it_is_used(monkeypatch):
    """It and NNCF take a stand-in where the package that sends figures of their use cannot be imported."""
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    needed("json", "a test")
    with pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")
