"""The released NanoDet-m is what onnxruntime makes of it."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from nanodet_files import CONFIG, ROOT, raw
from torchvision.ops import batched_nms

from rdet.apis.inference import inference_detector, init_detector
from rdet.config import load_config

SHARED = ROOT.parent / "shared/data"
RELEASED = SHARED / "nanodet/nanodet_m_416.onnx"
released = pytest.mark.skipif(not RELEASED.exists(), reason="needs the released weights beside the checkout")


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
