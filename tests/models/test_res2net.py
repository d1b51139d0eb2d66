import pytest
import torch
from test_resnet import randomise_norms

from rdet.models.backbones.res2net import Res2Net
from rdet.models.deformable import DeformableConv2d


def test_outputs_are_timms():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("res2net50d", features_only=True, out_indices=(1, 2, 3)).eval()
    randomise_norms(theirs)
    ours = Res2Net(50, out_indices=(0, 1, 2), frozen_stages=0).eval()
    ours.load_state_dict(theirs.state_dict())  # names are timm's
    x = torch.randn(2, 3, 65, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for found, wanted in zip(ours(x), theirs(x), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_what_mmdetection_does_not_pool_is_in_the_first_stage():
    torch.manual_seed(0)
    nets = [Res2Net(50, out_indices=(0,), pool_all=each).eval() for each in (True, False)]
    nets[1].load_state_dict(nets[0].state_dict())
    with torch.device("meta"):
        whole = Res2Net(50, pool_all=False)
    assert [isinstance(getattr(whole, f"layer{i}")[0].pool, torch.nn.AvgPool2d) for i in (1, 2, 3, 4)] == [False] + [
        True
    ] * 3
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(nets[0](x)[0], nets[1](x)[0], rtol=1e-2)


@pytest.mark.parametrize(
    ("depth", "out_indices", "channels", "strides"),
    [(50, (1, 2, 3), [512, 1024, 2048], [8, 16, 32]), (50, (0, 2), [256, 1024], [4, 16])],
)
def test_channels_strides_and_frozen_stages(depth, out_indices, channels, strides):
    with torch.device("meta"):
        network = Res2Net(depth, out_indices=out_indices, dcn_stages=(2,))
        maps = network(torch.empty(2, 3, 75, 101))
    assert (network.out_channels, network.strides) == (channels, strides)
    assert [tuple(x.shape) for x in maps] == [
        (2, c, -(-75 // s), -(-101 // s)) for c, s in zip(channels, strides, strict=True)
    ]
    assert all(isinstance(conv, DeformableConv2d) for block in network.layer3 for conv in block.convs)
    assert not any(isinstance(module, DeformableConv2d) for module in network.layer2.modules())
    assert {name.partition(".")[0] for name, p in network.named_parameters() if not p.requires_grad} == {
        *("conv1", "bn1", "layer1")
    }
    assert network.left_out == (frozenset() if 3 in out_indices else network.left_out)
    assert all(name.startswith("layer4.") for name in network.left_out)


def test_weights_under_mmdetections_names_load(tmp_path):
    network = Res2Net(50, out_indices=(1,), dcn_stages=(1,), weights=str(tmp_path / "a.pth"))
    state = network.state_dict()
    plain = {name: value + 1 for name, value in state.items() if ".conv_offset." not in name}
    theirs = {}
    for name, value in plain.items():
        stem = name.replace("bn1.", "stem.7.") if name.startswith("bn1.") else name
        theirs[f"backbone.stem{stem.removeprefix('conv1')}" if stem.startswith("conv1.") else stem] = value
    torch.save(theirs, tmp_path / "a.pth")
    network.init_weights()
    state = network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.items())
    assert not any(value.any() for name, value in state.items() if ".conv_offset." in name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 18}, "Res2Net has no depth 18; valid: 50, 101, 152"),
        ({"scales": 1}, "scales is 1; a Res2Net has 2 or more"),
        ({"out_indices": (4,)}, r"out_indices is \(4,\), but Res2Net has the stages 0 to 3"),
        ({"out_indices": (0,), "dcn_stages": (1,)}, r"dcn_stages is \(1,\), but there are stages 0 to 0; give some"),
    ],
)
def test_errors(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        Res2Net(**options)
