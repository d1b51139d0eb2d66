"""The example without torch and rdet finds what rdet finds."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from exported_families import detector

from rdet.apis.inference import inference_detector, init_detector
from rdet.deploy.export import ExportOptions, export_detector

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_numpy"
_ALONE = """
import runpy, sys
for name in ("torch", "torchvision", "mmcv", "mmengine", "rdet"):
    sys.modules[name] = None  # an import of it fails
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""
RESIZE = {"type": "Resize", "scale": [96, 70], "keep_ratio": True}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An ONNX file of two images of 64 x 96."""
    small = detector("RetinaNet")
    pipeline = small.cfg.test_dataloader.dataset.pipeline
    small.cfg.test_dataloader.dataset.pipeline = [pipeline[0], RESIZE, pipeline[1]]
    path = tmp_path_factory.mktemp("file") / "a.onnx"
    return export_detector(small, path, ExportOptions(size=(64, 96), batch=2))


def test_without_torch_and_rdet(file, tmp_path):
    image = np.random.default_rng(0).integers(256, size=(150, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    words = [EXAMPLE / "detect.py", file, tmp_path / "a.png", "--score-thr", "0", "--draw", tmp_path / "b.png"]
    done = subprocess.run([sys.executable, "-c", _ALONE, *words], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    own = inference_detector(init_detector(file), image).pred_instances
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(own) == 40
    assert [row[0] for row in rows] == [f"class{label}" for label in own.labels.tolist()]
    numbers = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(numbers[:, 0], own.scores, atol=1e-4)
    np.testing.assert_allclose(numbers[:, 1:], own.bboxes, atol=2e-3)
    assert cv2.imread(str(tmp_path / "b.png")).shape == image.shape


def test_an_image_of_16_bits_is_refused_as_rdet_does(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import detect

    cv2.imwrite(str(tmp_path / "a.png"), np.full((5, 7), 40_000, np.uint16))
    monkeypatch.setattr("sys.argv", ["detect.py", "none.onnx", str(tmp_path / "a.png")])
    with pytest.raises(SystemExit, match=r"a\.png has 16 bits a channel; make it 8, of the range"):
        detect.main()


@pytest.mark.parametrize(
    "steps",
    [
        [{**RESIZE, "round_down": True}, {"type": "Pad", "size": 101}],
        [{"type": "Resize", "scale": 61}, {"type": "FitWithin", "size": [40, 77]}],
        [{"type": "FitWithin", "size": [500, 500]}, {"type": "Pad", "size": [160, 99], "pad_val": [1, 2, 3]}],
    ],
)
def test_images_are_prepared_as_rdet_does(steps, monkeypatch):
    from mmengine.config import Config

    from rdet.apis.infer.pictures import record_of
    from rdet.apis.infer.pipeline import inference_pipeline, prepared

    monkeypatch.syspath_prepend(str(EXAMPLE))
    import detect

    pipeline = [{"type": "LoadImageFromFile"}, *steps, {"type": "PackDetInputs"}]
    said = {"pipeline": pipeline, "size": None, "divisor": 32, "batch": None, "input": "uint8"}
    cfg = Config({"test_dataloader": {"dataset": {"pipeline": pipeline}}})
    image = np.random.default_rng(0).integers(256, size=(150, 91, 3), dtype=np.uint8)
    packed = prepared(record_of(image, 0), inference_pipeline(cfg))
    inputs, factor = detect.network_input(image, said)
    _, height, width = packed["inputs"].shape
    assert inputs["image_sizes"].tolist() == [[height, width]]
    assert [side % 32 for side in inputs["images"].shape[2:]] == [0, 0]
    np.testing.assert_array_equal(inputs["images"][0, :, :height, :width], packed["inputs"])
    np.testing.assert_allclose(factor, packed["data_samples"].scale_factor)
