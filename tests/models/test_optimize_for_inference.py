import copy

import pytest
import torch
from small_detector import SIZE, config
from torch import nn

from rdet.models.backbones.torchvision_backbone import TorchvisionBackbone
from rdet.models.backbones.unshuffling import UnshuffledStage
from rdet.models.detectors.optimize import optimize_for_inference
from rdet.models.necks.fpn import FPN
from rdet.models.necks.nanodet_pan import NanoDetPAN
from rdet.registry import MODELS


@pytest.fixture
def detector():
    torch.manual_seed(0)
    model = MODELS.build(config(backbone={"type": "ResNet", "depth": 18})).eval()  # which folds its norms
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def outputs(model):
    with torch.no_grad():
        found = model(torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1)))
    return found.logits, found.deltas


def test_float32_is_the_same(detector):
    expected = outputs(detector)
    detector.optimize_for_inference()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.modules())
    for found, wanted in zip(outputs(detector), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near(detector):
    expected = outputs(detector)
    other = copy.deepcopy(detector)
    detector.optimize_for_inference(torch.bfloat16)
    assert {m.weight.dtype for m in detector.modules() if isinstance(m, nn.Conv2d)} == {torch.bfloat16}
    for found, wanted in zip(outputs(detector), expected, strict=True):
        assert found.dtype is torch.bfloat16
        torch.testing.assert_close(found.float(), wanted, rtol=0.05, atol=0.02)
    # As near as autocast on the weights as they were.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        usual = outputs(other)
    for found, autocast, wanted in zip(outputs(detector), usual, expected, strict=True):
        assert (found - wanted).norm() < 1.5 * (autocast - wanted).norm()


def test_a_backbone_without_autocast_keeps_float32(detector):
    detector.backbone.autocast = False
    detector.optimize_for_inference(torch.bfloat16)
    assert {m.weight.dtype for m in detector.backbone.modules() if isinstance(m, nn.Conv2d)} == {torch.float32}
    assert detector.bbox_head.conv_cls.weight.dtype is torch.bfloat16


@pytest.mark.parametrize("model_name", ["mobilenet_v2", "densenet121", "regnet_y_400mf", "efficientnet_v2_s"])
def test_networks_of_torchvision(model_name):
    torch.manual_seed(0)
    backbone = TorchvisionBackbone(model_name).eval().double()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected = backbone(x)
        before = sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
        backbone.fold_norms()
        found = backbone(x)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules()) < before
    for ours, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


def test_what_is_compiled(detector):
    expected = outputs(detector)
    detector.compile(backend="eager")
    compiled = {name for name, part in detector.named_modules() if part._compiled_call_impl is not None}
    assert compiled == {"backbone", "neck", "bbox_head", "criterion.loss_cls"}
    assert detector._compiled_call_impl is None
    for found, wanted in zip(outputs(detector), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("size", ["x1_0", "x0_5"])
def test_shufflenet_does_without_its_shuffles(size, monkeypatch):
    torch.manual_seed(0)
    backbone = TorchvisionBackbone(f"shufflenet_v2_{size}", out_indices=(0, 1, 3)).eval().double()
    neck = NanoDetPAN(backbone.out_channels, backbone.strides, out_channels=8).double()
    model = nn.ModuleDict({"backbone": backbone, "neck": neck})
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.weight.data, module.bias.data):
                nn.init.uniform_(values, 0.5, 1.5)
    images = torch.randn(2, 3, 64, 96).double()
    with torch.no_grad():
        expected = model["neck"](model["backbone"](images))
        optimize_for_inference(model)
        monkeypatch.setattr("torchvision.models.shufflenetv2.channel_shuffle", None)  # not called
        for found, wanted in zip(model["neck"](model["backbone"](images)), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("act", "neck"), [("PReLU", NanoDetPAN), ("ReLU", FPN)])
def test_shuffles_stay_where_channels_are_told_apart(act, neck):
    """By an activation with a number for each, or by a neck that takes them in their order alone."""
    backbone = TorchvisionBackbone("shufflenet_v2_x0_5", act_cfg={"type": act}).eval()
    model = nn.ModuleDict({"backbone": backbone, "neck": neck(backbone.out_channels, backbone.strides, 8)})
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model["neck"](model["backbone"](images))
        optimize_for_inference(model)
        for found, wanted in zip(model["neck"](model["backbone"](images)), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, UnshuffledStage) for module in model.modules())
