import pytest
import torch
from torch import nn
from torchvision import models

from rdet.models.backbones.resnet import ResNet


def randomise_norms(network):
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.3, 0.7)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("batch_statistics", [False, True])
def test_outputs_are_torchvisions(depth, batch_statistics):
    theirs = getattr(models, f"resnet{depth}")().double().train(batch_statistics)
    randomise_norms(theirs)
    ours = ResNet(depth, out_indices=(0, 1, 2, 3), frozen_stages=0, norm_eval=False).double().train(batch_statistics)
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    ours.load_state_dict(state)  # strict: names are torchvision's
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        expected, y = [], theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        for layer in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
            y = layer(y)
            expected.append(y)
        maps = ours(x)
    assert len(maps) == 4
    for found, wanted in zip(maps, expected, strict=True):
        # Fixed statistics are folded into the convolutions, which rounds differently.
        tolerance = 0 if batch_statistics else 1e-12
        torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("depth", "out_indices", "channels", "strides"),
    [
        (18, (1, 2, 3), [128, 256, 512], [8, 16, 32]),
        (34, (0,), [64], [4]),
        (50, (1, 2, 3), [512, 1024, 2048], [8, 16, 32]),
        (50, (0, 2), [256, 1024], [4, 16]),
        (101, (3,), [2048], [32]),
    ],
)
def test_channels_and_strides_are_true(depth, out_indices, channels, strides):
    height, width = 75, 101
    with torch.device("meta"):
        network = ResNet(depth, out_indices=out_indices)
        maps = network(torch.empty(2, 3, height, width))
    assert network.out_channels == channels
    assert network.strides == strides
    assert [tuple(x.shape) for x in maps] == [
        (2, c, -(-height // s), -(-width // s)) for c, s in zip(channels, strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"depth": 34}, "resnet34"),
        ({"depth": 101, "groups": 32, "base_width": 8}, "resnext101_32x8d"),
        ({"depth": 101, "groups": 64, "base_width": 4}, "resnext101_64x4d"),
    ],
)
def test_number_of_weights_is_torchvisions(options, reference):
    with torch.device("meta"):
        ours, theirs = ResNet(**options), getattr(models, reference)()
    count = sum(p.numel() for p in theirs.parameters()) - sum(p.numel() for p in theirs.fc.parameters())
    assert sum(p.numel() for p in ours.parameters()) == count


def test_resnext_101_32x4d():
    with torch.device("meta"):
        network = ResNet(101, groups=32, base_width=4)
    # 44,177,704 with the classifier, as published with ResNeXt's and timm's models
    assert sum(p.numel() for p in network.parameters()) == 44_177_704 - 1000 * 2049
    assert network.out_channels == [512, 1024, 2048]


@pytest.mark.parametrize("frozen_stages", [0, 1, 2, 4])
def test_frozen_stages_have_no_gradient_and_are_in_eval_mode(frozen_stages):
    network = ResNet(18, out_indices=(0, 1, 2, 3), frozen_stages=frozen_stages, norm_eval=False).train()
    frozen = [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]
    frozen = {name for names in frozen[: frozen_stages + 1] for name in names} if frozen_stages else set()
    for name, child in network.named_children():
        parameters = list(child.parameters())
        if parameters:
            assert {p.requires_grad for p in parameters} == {name not in frozen}, name
            assert {m.training for m in child.modules()} == {name not in frozen}, name


def statistics_after_a_step(network):
    network.train()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms]
    network(torch.randn(2, 3, 32, 32))
    return [not torch.equal(m.running_mean, old) for m, old in zip(norms, before, strict=True)]


def test_norm_eval_keeps_the_statistics():
    network = ResNet(18, frozen_stages=0, norm_eval=True)
    assert not any(statistics_after_a_step(network))
    assert network.layer2[0].bn1.weight.requires_grad  # the affine part still learns


def test_a_new_network_has_its_modes_at_once():
    network = ResNet(18, frozen_stages=1, norm_eval=True)
    assert network.training
    assert not network.layer1.training
    assert not network.layer3[0].bn1.training
    assert network.layer3.training


def test_without_norm_eval_only_frozen_statistics_stay():
    changed = statistics_after_a_step(ResNet(18, frozen_stages=1, norm_eval=False))
    assert changed == [False] * 5 + [True] * (len(changed) - 5)  # stem, two blocks of two


def test_eval_mode_is_eval_everywhere_and_train_mode_comes_back():
    network = ResNet(18, frozen_stages=1).eval()
    assert not any(m.training for m in network.modules())
    assert network.train() is network
    assert network.layer3.training
    assert not network.layer3[0].bn1.training
    assert not network.layer1.training


def test_group_normalisation():
    network = ResNet(18, norm_cfg={"type": "GN", "num_groups": 8})
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert isinstance(network.bn1, nn.GroupNorm)
    assert network.bn1.num_groups == 8
    assert [x.shape[1] for x in network(torch.zeros(1, 3, 32, 32))] == [128, 256, 512]


def test_norm_cfg_stays_and_fixes_affine_parts():
    norm_cfg = {"type": "BN", "requires_grad": False, "eps": 0.0}
    network = ResNet(18, norm_cfg=norm_cfg, frozen_stages=0)
    assert norm_cfg == {"type": "BN", "requires_grad": False, "eps": 0.0}
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.weight.requires_grad) for m in norms} == {(0.0, False)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 51}, "ResNet has no depth 51; valid: 18, 34, 50, 101, 152"),
        ({"depth": 18, "groups": 2}, "groups is 2 and base_width 64, but ResNet-18 has no bottlenecks; use 1 and 64"),
        ({"depth": 34, "base_width": 8}, "groups is 1 and base_width 8, but ResNet-34 has no bottlenecks"),
        ({"depth": 18, "out_indices": (1, 4)}, r"out_indices is \(1, 4\), but ResNet has the stages 0 to 3"),
        ({"depth": 18, "out_indices": (-1,)}, r"out_indices is \(-1,\), but ResNet has the stages 0 to 3"),
        ({"depth": 18, "out_indices": ()}, r"out_indices is \(\), but"),
        ({"depth": 18, "frozen_stages": 5}, "frozen_stages is 5, but there are stages 0 to 4"),
        ({"depth": 18, "frozen_stages": -1}, "frozen_stages is -1, but there are stages 0 to 4"),
        ({"depth": 18, "out_indices": (0,), "frozen_stages": 2}, "frozen_stages is 2, but there are stages 0 to 1"),
    ],
)
def test_errors(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        ResNet(**options)


def test_style_says_where_a_stage_has_its_stride():
    """In the first 3x3 convolution or in the 1x1 before it; a net of other weights would not notice."""
    torch.manual_seed(0)
    nets = {style: ResNet(50, out_indices=(0, 1, 2, 3), style=style).eval() for style in ("pytorch", "caffe")}
    nets["caffe"].load_state_dict(nets["pytorch"].state_dict())
    for style, net in nets.items():
        for name, module in net.named_modules():
            if isinstance(module, torch.nn.Conv2d) and name.startswith(("layer2.0.", "layer3.0.", "layer4.0.")):
                strided = "conv2" if style == "pytorch" else "conv1"
                stride = 2 if strided in name or "downsample" in name else 1
                assert module.stride == (stride, stride), name
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = {style: net(x) for style, net in nets.items()}
        block, before = nets["caffe"].layer2[0], maps["caffe"][0]
        # A strided 1x1 convolution sees every second cell of each second row, and nothing else.
        thinned = before[:, :, ::2, ::2]
        y = torch.relu(block.bn1(torch.conv2d(thinned, block.conv1.weight)))
        y = torch.relu(block.bn2(torch.conv2d(y, block.conv2.weight, padding=1)))
        y = block.bn3(torch.conv2d(y, block.conv3.weight))
        y = torch.relu(y + block.downsample[1](torch.conv2d(thinned, block.downsample[0].weight)))
        torch.testing.assert_close(block(before), y, rtol=1e-4, atol=1e-5)
    assert torch.equal(maps["pytorch"][0], maps["caffe"][0])
    assert not torch.allclose(maps["pytorch"][1], maps["caffe"][1], rtol=1e-2)
    assert [m.shape for m in maps["pytorch"]] == [m.shape for m in maps["caffe"]]
    with pytest.raises(ValueError, match="style is 'tensorflow'; valid: 'pytorch', 'caffe'"):
        ResNet(50, style="tensorflow")


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_holes_compute_what_the_stride_would_and_what_lies_between(style, output_stride):
    """Every (32 / output_stride)-th cell of the last map is a cell of the network with strides."""
    whole = ResNet(50, style=style, frozen_stages=0).double().eval()
    randomise_norms(whole)
    dilated = ResNet(50, style=style, output_stride=output_stride, frozen_stages=0).double().eval()
    dilated.load_state_dict(whole.state_dict())
    assert dilated.strides == [8, 16 if output_stride == 16 else 8, output_stride]
    x = torch.randn(1, 3, 97, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        expected, maps = whole(x), dilated(x)
    for found, wanted, there, here in zip(maps, expected, whole.strides, dilated.strides, strict=True):
        assert found.shape[-2:] == (-(-97 // here), 64 // here)
        torch.testing.assert_close(found[..., :: there // here, :: there // here], wanted)


def test_impossible_output_strides_are_refused():
    with pytest.raises(ValueError, match="output_stride is 4; valid: 8, 16, 32"):
        ResNet(50, output_stride=4)
    with pytest.raises(ValueError, match="output_stride is 16, but ResNet-18 has no bottlenecks; use 32"):
        ResNet(18, output_stride=16)


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_deformable_convolutions_take_the_place_of_the_3x3_ones(style):
    """Without factors, they start as those; names are MMDetection's, and weights without offsets load."""
    options = {"out_indices": (0, 1), "style": style, "frozen_stages": 0}
    plain, network = ResNet(50, **options).eval(), ResNet(50, dcn_stages=(1,), dcn_modulated=False, **options).eval()
    added = {f"layer2.{block}.conv2.conv_offset.{end}" for block in range(4) for end in ("weight", "bias")}
    assert network.added == added == set(network.state_dict()) - set(plain.state_dict())
    network.load_state_dict({**network.state_dict(), **plain.state_dict()})
    assert [block.conv2.stride for block in network.layer2] == [block.conv2.stride for block in plain.layer2]
    x = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        for found, expected in zip(network(x), plain(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with torch.device("meta"):
        assert ResNet(50, dcn_stages=(1, 2, 3), dcn_groups=2).layer3[0].conv2.conv_offset.out_channels == 54
        with pytest.raises(ValueError, match=r"dcn_stages is \(1,\), but ResNet-18 has no bottlenecks; use \(\)"):
            ResNet(18, dcn_stages=(1,))
        with pytest.raises(ValueError, match=r"dcn_stages is \(3,\), but there are stages 0 to 1"):
            ResNet(50, out_indices=(1,), dcn_stages=(3,))


def test_the_first_convolution_of_a_stage_may_have_holes_too():
    with torch.device("meta"):
        for first in (False, True):
            network = ResNet(50, output_stride=8, dilate_first=first)
            dilations = [[block.conv2.dilation[0] for block in stage] for stage in (network.layer3, network.layer4)]
            assert dilations == [[2 if first else 1, *[2] * 5], [4 if first else 2, 4, 4]]
            assert network.layer4[0].conv2.padding == network.layer4[0].conv2.dilation
