"""What the score of a box depends on; a stand-in of grad-cam computes gradient times activation here."""

import importlib.util
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from rdet.apis.build import build_detector
from rdet.apis.infer.activation_maps import ActivationMaps, check_grad_cam
from rdet.apis.infer.shot import Found, Shot
from rdet.apis.infer.writers.explained import ExplanationWriter, heated
from rdet.config import load_config
from rdet.errors import MissingModuleError
from rdet.structures import DetDataSample


class HiResCAM:
    """Gradient times activation of one layer, without negative values, from 0 to 1, at the size of the input."""

    def __init__(self, model, target_layers):
        self.model, (self.layer,) = model, target_layers

    def __enter__(self):
        self.hook = self.layer.register_forward_hook(lambda module, given, result: self.seen.append(result))
        return self

    def __exit__(self, *error):
        self.hook.remove()

    def __call__(self, input_tensor, targets):
        self.seen = []
        (target,), (scores,) = targets, self.model(input_tensor)
        (map_,) = self.seen
        (gradient,) = torch.autograd.grad(target(scores), map_)
        heat = (gradient * map_).sum(dim=1).relu().detach().numpy()[0]
        return cv2.resize(heat / max(heat.max(), 1e-9), input_tensor.shape[:1:-1])[None]


@pytest.fixture
def model(config, monkeypatch):
    package = ModuleType("pytorch_grad_cam")
    package.__spec__ = importlib.util.spec_from_loader(package.__name__, None)
    package.HiResCAM = HiResCAM
    monkeypatch.setitem(sys.modules, package.__name__, package)
    check_grad_cam()
    torch.manual_seed(0)
    model = build_detector(load_config(config), ("bright", "red"))
    model.classes = ("bright", "red")
    model.optimize_for_inference()  # weights without gradients, as rdet infer has them
    return model


@pytest.fixture
def packed():
    """An image of 256 x 192 that the network gets at half its size."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 255, (3, 96, 128), dtype=np.uint8))
    shapes = {"img_shape": (96, 128), "ori_shape": (192, 256), "scale_factor": (0.5, 0.5), "img_id": 1}
    return {"inputs": image, "data_samples": DetDataSample(metainfo=shapes)}


def detected(model, packed):
    data = {key: [value] for key, value in packed.items()}
    with torch.no_grad():
        return model.test_step(data)[0]


def test_a_map_is_of_the_prior_that_gave_the_box_and_hot_where_that_one_looks(model, packed):
    sample = detected(model, packed)
    found = sample.pred_instances
    maps = ActivationMaps(model, packed)
    for index in (0, 7):
        box, label = found.bboxes[index].numpy(), int(found.labels[index])
        prior = maps.prior_of(box, label)
        assert float(maps._scores[prior, label]) == pytest.approx(float(found.scores[index]), abs=1e-6)
        heat = maps.of_box(box, label)
        assert heat.shape == (192, 256)
        assert heat.dtype == np.float32
        assert 0 <= heat.min() <= heat.max() <= 1
    # The head has two layers of 3 x 3: no cell of P3 that is more than 2 cells of 8 pixels away takes part.
    boxes = [(box.numpy(), int(label)) for box, label in zip(found.bboxes, found.labels, strict=True)]
    of_p3 = [(box, label) for box, label in boxes if maps.prior_of(box, label) < maps._predictions.level_lengths[0]]
    assert of_p3
    for box, label in of_p3[:3]:
        x, y = maps._priors[maps.prior_of(box, label)].view(2, 2).mean(dim=0).tolist()
        rows, columns = np.nonzero(maps.of_box(box, label))
        assert np.abs(columns / 2 - x).max() <= 8 * 3.6  # half a cell, and one more where it is enlarged
        assert np.abs(rows / 2 - y).max() <= 8 * 3.6


def test_the_best_boxes_of_an_image_are_explained(model, packed, tmp_path):
    image = np.full((192, 256, 3), 90, np.uint8)
    found = Found.of(Shot("a.png", "a", "a.png", image=image, packed=packed), detected(model, packed), 0.0)
    ExplanationWriter(tmp_path, model, 2).add(found)
    assert sorted(path.name for path in (tmp_path / "explained").iterdir()) == ["a_1.jpg", "a_2.jpg"]
    assert cv2.imread(str(tmp_path / "explained/a_1.jpg")).shape == (192, 256, 3)
    nothing = Found.of(found.shot, detected(model, packed), 1.1)
    ExplanationWriter(tmp_path / "none", model, 2).add(nothing)
    assert not (tmp_path / "none").exists()


def test_a_cold_picture_is_grey_and_a_hot_one_is_not():
    image = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    heat = np.array([[0, 0], [1, 1]], np.float32)
    picture = heated(image, heat)
    assert np.ptp(picture[0, 0]) == 0
    assert np.ptp(picture[1, 1]) > 20


def test_grad_cam_that_is_missing_is_one_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pytorch_grad_cam" else find(name, *rest)
    )
    with pytest.raises(MissingModuleError, match="^--explain needs the package grad-cam, .*: pip install grad-cam$"):
        check_grad_cam()
