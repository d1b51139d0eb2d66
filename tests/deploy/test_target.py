"""What is said, and what is left alone, before a file is made."""

import sys

import pytest
import torch
from exported_families import detector

from rdet.commands import export as export_command
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.formats import write_torchscript
from rdet.deploy.packages import check_packages
from rdet.deploy.target import target_of
from rdet.errors import ConfigError, MissingModuleError


def test_nothing_of_another_kind_is_written_over(tmp_path):
    for name in ("a.onnx", "b.bin"):
        (tmp_path / name).mkdir()
    for name in ("model.bin", "c.bin", "d.bin", "d.xml"):
        (tmp_path / name).write_text("precious")
    weights = str(tmp_path / "model.bin")
    for out, kind, message in (
        ("a", "onnx", "a.onnx is a folder; remove it, or give another --out"),
        ("b.xml", "openvino", "b.bin is a folder; remove it, or give another --out"),
        ("model", "openvino", "model.bin is the checkpoint, which would be written over; give another --out"),
        ("c", "openvino", "c.bin, where the weights go, is there without c.xml, so that it may be of another kind"),
        ("e.pt2", "onnx", r"e.pt2 does not end in \.onnx, as files of onnx do"),
        ("e.pt", "onnx", r"e.pt does not end in \.onnx"),
        ("e.XML", "openvino", r"e.XML does not end in \.xml"),
    ):
        with pytest.raises(ConfigError, match=message):
            target_of(tmp_path / out, kind, weights)
    assert target_of(tmp_path / "d", "openvino", weights) == tmp_path / "d.xml"  # a pair, made before
    assert target_of(tmp_path / "c", "onnx", weights) == tmp_path / "c.onnx"
    assert target_of(tmp_path / "v1.2", "onnx", weights) == tmp_path / "v1.2.onnx"
    with pytest.raises(ConfigError, match="c.bin, where the weights go"):
        export_detector(detector("RetinaNet"), tmp_path / "c", ExportOptions("openvino"))
    assert (tmp_path / "c.bin").read_text() == "precious"


@pytest.mark.parametrize(
    ("kind", "dtype", "lacking", "message"),
    [
        ("onnx", "float32", "onnx", "an export to ONNX needs the package onnx "),
        ("tensorrt-ready", "float32", "onnxscript", "an export to ONNX needs the package onnxscript "),
        ("openvino", "float32", "openvino", "an export to OpenVINO needs the package openvino "),
        ("openvino", "int8", "nncf", "an export in int8 to OpenVINO needs the package nncf "),
        ("onnx", "int8", "onnxruntime.quantization", "an export in int8 to ONNX needs the package onnxruntime "),
    ],
)
def test_packages_are_asked_for_before_the_work(monkeypatch, kind, dtype, lacking, message):
    for name in ("onnx", "onnxscript", "openvino", "nncf", "onnxruntime", "onnxruntime.quantization"):
        monkeypatch.setitem(sys.modules, name, None if name == lacking else torch)
    with pytest.raises(MissingModuleError, match=message) as caught:
        check_packages(kind, dtype)
    assert str(caught.value).endswith("pip install 'rdet[deploy]'")
    check_packages("exported_program", "float32")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--size", "64x"], "argument --size: '64x' must be WIDTHxHEIGHT, such as 640x480, or one number"),
        (["--size", "x64"], "argument --size: 'x64' must be WIDTHxHEIGHT"),
        (["--size", "64x64x64"], "argument --size: '64x64x64' must be WIDTHxHEIGHT"),
        (["--size", "8"], "argument --size: '8' must be a whole number of 16 to 16384"),
        (["--no-compare", "--num-images", "3"], "--no-compare leaves out what --images, --num-images"),
        (["--format", "torchscript", "--opset", "20"], "--opset is of ONNX, which --format torchscript is not made of"),
    ],
)
def test_options_that_nothing_would_read_are_said(monkeypatch, capsys, given, said):
    monkeypatch.setattr("sys.argv", ["rdet export", "a.pth", *given])
    with pytest.raises(SystemExit, match="2"):
        export_command.parse_args()
    assert said in capsys.readouterr().err


def test_what_the_options_are_without(monkeypatch):
    monkeypatch.setattr("sys.argv", ["rdet export", "a.pth", "--size", "640x480"])
    args = export_command.parse_args()
    assert (args.size, args.opset, args.num_images) == ((480, 640), 18, 8)


def test_data_to_compare_on_are_looked_at_before_the_work(config, tmp_path, monkeypatch, capsys, make_runner):
    """No file is made: nothing is there that could."""
    monkeypatch.setattr("rdet.deploy.command.export_detector", None)
    monkeypatch.chdir(tmp_path)
    runner = make_runner("test")
    said = {"cfg": runner.cfg.pretty_text, "dataset_meta": {"classes": ("bright", "red")}}
    torch.save({"meta": said, "state_dict": runner.model.state_dict()}, "a.pth")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.png").write_text("no picture")
    gone = "val_dataloader.dataset.ann_file=gone.json"
    for given, message in (
        (["--images", "empty"], "no image in empty"),
        (["--images", "1.png", "notes.png"], "notes.png: not an image"),
        (["--val", "--cfg-options", gone], "gone.json: no such file; check ann_file and data_root"),
    ):
        monkeypatch.setattr("sys.argv", ["rdet export", "a.pth", "--format", "exported_program", *given])
        with pytest.raises(SystemExit, match="1"):
            export_command.main()
        assert message in capsys.readouterr().err


def test_torchscript_on_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch):
    """torch's own writer would end the process."""
    from pathlib import Path

    from rdet.deploy.export import _job

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_torchscript(_job(detector("RetinaNet"), ExportOptions("torchscript")), tmp_path, "a")
    assert not list(tmp_path.iterdir())
