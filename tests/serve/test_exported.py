"""The service of an exported file gives what the detector gives, whatever batch and size the file has."""

import gc

import cv2
import numpy as np
import pytest
import torch
from exported_families import detector

from rdet.apis.inference import inference_detector, init_detector
from rdet.commands import serve as command
from rdet.deploy.export import ExportOptions, export_detector
from rdet.serve.service import Settings


@pytest.fixture(scope="module")
def small():
    return detector("RetinaNet")


def pictures(folder, *sizes):
    rng = np.random.default_rng(0)
    for index, size in enumerate(sizes):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(256, size=(*size, 3), dtype=np.uint8))
    return [folder / f"{index}.png" for index in range(len(sizes))]


def answered(client, paths):
    """The boxes of each image of one request."""
    files = [("file", (path.name, path.read_bytes(), "image/png")) for path in paths]
    answer = client.post("/detect?score_thr=0", files=files)
    assert answer.status_code == 200, answer.text
    return [[one["box"] for one in image["detections"]] for image in answer.json()["images"]]


def images_and_batches(client):
    numbers = {ending: value for ending, _, value in client.service.metrics.batches.samples()}
    return numbers["_sum"], numbers["_count"]


@pytest.mark.parametrize("kind", ["exported_program", "onnx", "openvino"])
def test_a_file_of_two_images_of_one_size(kind, small, serve, tmp_path):
    for package in {"onnx": ("onnxscript", "onnxruntime"), "openvino": ("onnxscript", "openvino")}.get(kind, ()):
        pytest.importorskip(package)
    path = export_detector(small, tmp_path / "a", ExportOptions(kind, size=(64, 96), batch=2))
    model = init_detector(path)
    paths = pictures(tmp_path, (64, 96), (50, 70), (90, 33), (20, 96), (300, 100))
    client = serve(model=model, settings=Settings(0.0, max_batch=5, max_wait=2.0))
    boxes = answered(client, paths)
    for path, found in zip(paths, boxes, strict=True):
        alone = inference_detector(model, str(path)).pred_instances
        assert len(found) == len(alone) == 40
        np.testing.assert_allclose(found, alone.bboxes.numpy(), rtol=0, atol=0.06)
    # Images of all shapes may run together, two at a time; how many were there in time is not said.
    images, batches = images_and_batches(client)
    assert images == 5
    assert batches >= 3
    assert {model.batch_key(torch.zeros(3, *size)) for size in ((64, 96), (20, 33))} == {(3, 64, 96)}


def test_images_of_one_padded_size_run_together(small, serve, tmp_path):
    model = init_detector(export_detector(small, tmp_path / "a", ExportOptions("exported_program")))
    paths = pictures(tmp_path, (64, 96), (40, 70), (90, 33), (33, 65))
    client = serve(model=model, settings=Settings(0.0, max_batch=4, max_wait=2.0))
    for path, found in zip(paths, answered(client, paths), strict=True):
        own = inference_detector(small, str(path)).pred_instances
        np.testing.assert_allclose(found, own.bboxes.numpy(), rtol=0, atol=0.06)
    images, batches = images_and_batches(client)
    assert images == 4
    assert batches >= 2
    keys = [model.batch_key(torch.zeros(3, *size)) for size in ((64, 96), (40, 70), (90, 33), (33, 65))]
    assert keys == [(3, 64, 96), (3, 64, 96), (3, 96, 64), (3, 64, 96)]


def test_the_command_takes_a_file_alone(small, tmp_path, monkeypatch, capsys):
    path = export_detector(small, tmp_path / "a", ExportOptions("exported_program", size=(64, 64)))
    served = []
    gc.unfreeze()  # what other tests froze
    monkeypatch.setattr("rdet.serve.server.run", lambda app, listener: served.append((app, gc.get_freeze_count())))
    monkeypatch.setattr("sys.argv", ["rdet serve", str(path), "--port", "0"])
    command.main()
    assert "detects 3 classes on cpu" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["rdet serve", str(path), "--port", "0", "--amp"])
    with pytest.raises(SystemExit):
        command.main()
    said = capsys.readouterr().err
    assert f"{path} has the precision that it was exported with; leave out --amp" in said
    ((_, frozen),) = served
    assert frozen > 10_000  # of what was imported, which a search of each request's garbage need not go through
