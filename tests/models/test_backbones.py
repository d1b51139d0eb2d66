"""Laws that hold for every backbone: what is frozen, what its batch normalisation does, what its maps are."""

import copy
import importlib.util
from functools import cache, partial

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rdet.models.backbones.csp_darknet import CSPDarknet
from rdet.models.backbones.csp_next import CSPNeXt
from rdet.models.backbones.resnet import ResNet
from rdet.models.backbones.ssdlite_mobilenet import SSDLiteMobileNetV3
from rdet.models.backbones.timm_backbone import TimmBackbone
from rdet.models.backbones.torchvision_backbone import TorchvisionBackbone

# Each network, and what of an image whose size does not divide its maps do: "up" or "down", or None where it refuses.
ROUNDS = {
    "ResNet-18": (partial(ResNet, 18), "up"),
    "SSDLiteMobileNetV3": (SSDLiteMobileNetV3, "up"),
    "CSPNeXt": (partial(CSPNeXt, 0.167, 0.25), "up"),
    "CSPDarknet": (partial(CSPDarknet, 0.33, 0.25, True), "up"),
    "mobilenet_v2": (partial(TorchvisionBackbone, "mobilenet_v2"), "up"),
    "mobilenet_v3_small": (partial(TorchvisionBackbone, "mobilenet_v3_small"), "up"),
    "shufflenet_v2_x0_5": (partial(TorchvisionBackbone, "shufflenet_v2_x0_5"), "up"),
    "convnext_tiny": (partial(TorchvisionBackbone, "convnext_tiny"), "down"),
    "swin_t": (partial(TorchvisionBackbone, "swin_t"), "either"),
    "timm tf_efficientnet_lite0": (partial(TimmBackbone, "tf_efficientnet_lite0"), "up"),
    "timm mobilenetv3_small_050": (partial(TimmBackbone, "mobilenetv3_small_050"), "up"),
    "timm convnext_atto": (partial(TimmBackbone, "convnext_atto"), "down"),
    "timm swin_tiny": (partial(TimmBackbone, "swin_tiny_patch4_window7_224"), None),
    "timm hrnet_w18_small": (partial(TimmBackbone, "hrnet_w18_small"), None),
}
if importlib.util.find_spec("timm") is None:
    ROUNDS = {name: value for name, value in ROUNDS.items() if "timm" not in name}
QUICK = ("ResNet-18", "mobilenet_v2", "timm mobilenetv3_small_050")
# HRNet's maps of every stride come from its last layers: no map is finished before the last stage.
CHAINS = [name for name in ROUNDS if "hrnet" not in name]


@cache
def make(name, frozen_stages=2, norm_eval=True):
    with torch.device("meta"):
        return ROUNDS[name][0](frozen_stages=frozen_stages, norm_eval=norm_eval)


def maps_of(network, height=128, width=192):
    return network(torch.empty(2, 3, height, width, device="meta"))


@pytest.mark.parametrize("name", ROUNDS)
def test_channels_and_strides_are_true(name):
    network = make(name)
    assert network.strides == ([16, 32] if name == "SSDLiteMobileNetV3" else [8, 16, 32])
    expected = [(2, c, 128 // s, 192 // s) for c, s in zip(network.out_channels, network.strides, strict=True)]
    assert [tuple(x.shape) for x in maps_of(network)] == expected


@pytest.mark.parametrize("name", [name for name, (_, rounds) in ROUNDS.items() if rounds])
def test_sizes_that_do_not_divide(name):
    rounds = ROUNDS[name][1]
    network = make(name)
    for x, stride in zip(maps_of(network, 117, 202), network.strides, strict=True):
        for size, whole in zip(x.shape[2:], (117, 202), strict=True):
            assert size in {"up": [-(-whole // stride)], "down": [whole // stride]}.get(
                rounds, [whole // stride, -(-whole // stride)]
            )


@pytest.mark.parametrize(
    ("name", "frozen_stages"),
    [*((name, 2) for name in CHAINS), *((name, k) for name in CHAINS if name in QUICK for k in (1, 3))],
)
def test_frozen_stages_end_at_the_same_stride_everywhere(name, frozen_stages):
    """Stage k ends with the map of stride 2^(k+1): that map has no gradient, and the next one has."""
    network = make(name) if frozen_stages == 2 else make(name, frozen_stages)
    learns = [x.requires_grad for x in maps_of(network)]
    assert learns == [stride > 2 ** (frozen_stages + 1) for stride in network.strides]
    for stage, layers in enumerate(network.stages()):
        for layer in layers:
            parameters = list(layer.parameters()) if isinstance(layer, nn.Module) else [layer]
            assert all(p.requires_grad == (stage > frozen_stages) for p in parameters)


@pytest.mark.parametrize("name", ROUNDS)
def test_every_weight_is_in_one_stage(name):
    network = make(name)
    stages = network.stages()
    assert len(stages) == 5
    layers = [layer for stage in stages for layer in stage]
    staged = [id(p) for x in layers for p in (x.parameters() if isinstance(x, nn.Module) else [x])]
    assert sorted(staged) == sorted(id(p) for p in network.parameters())


@pytest.mark.parametrize("name", [name for name in ROUNDS if name in ("ResNet-18", "mobilenet_v3_small", QUICK[2])])
def test_every_weight_that_should_learn_gets_a_gradient(name):
    """Which is what DistributedDataParallel waits for."""
    torch.manual_seed(0)
    network = ROUNDS[name][0](frozen_stages=1, norm_eval=True)
    sum(x.square().sum() for x in network(torch.randn(1, 3, 64, 64))).backward()
    assert [n for n, p in network.named_parameters() if (p.grad is not None) != p.requires_grad] == []


@pytest.mark.parametrize(
    ("name", "norm_eval"), [*((name, True) for name in ROUNDS), *((name, False) for name in ROUNDS if name in QUICK)]
)
def test_modes(name, norm_eval):
    network = make(name) if norm_eval else make(name, norm_eval=False)
    for _ in range(2):  # as built, and after a validation
        frozen = {m for stage in network.stages()[:3] for x in stage if isinstance(x, nn.Module) for m in x.modules()}
        assert frozen
        assert not any(m.training for m in frozen)
        # timm's normalisation layers hold their activation.
        norms = {m for n in network.modules() if isinstance(n, _BatchNorm) for m in n.modules()}
        for module in set(network.modules()) - frozen:
            assert module.training == (not norm_eval or module not in norms), module
        assert not any(m.training for m in network.eval().modules())
        network.train()


@pytest.mark.parametrize("name", ["ResNet-18", "mobilenet_v2"])
def test_too_many_frozen_stages(name):
    with pytest.raises(ValueError, match="frozen_stages is 5, but there are stages 0 to 4"):
        make(name, frozen_stages=5)


@pytest.mark.parametrize("name", [name for name in ROUNDS if name.endswith(("18", "_v2", "_lite0", "swin_tiny"))])
def test_replaced_layers_stay_frozen(name):
    """A frozen stage keeps its mode when its layers are exchanged, as for SyncBatchNorm."""
    network = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(make(name, norm_eval=False))).train()
    norms = [m for m in network.modules() if isinstance(m, nn.SyncBatchNorm)]
    frozen = [m for m in norms if not next(m.parameters()).requires_grad]
    assert all(m.training != (m in frozen) for m in norms)
    assert bool(frozen) == ("swin" not in name)
