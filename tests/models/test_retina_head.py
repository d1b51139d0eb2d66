import pytest
import torch
from torch import nn

from rdet.models.dense_heads.retina_head import RetinaHead
from rdet.models.priors.anchor_generator import AnchorGenerator


def head(**options):
    torch.manual_seed(0)
    defaults = {"in_channels": 8, "num_classes": 3, "num_priors": 2, "feat_channels": 6, "stacked_convs": 2}
    return RetinaHead(**{**defaults, **options})


def levels(*sizes, channels=8):
    return [torch.randn(2, channels, *size) for size in sizes]


@pytest.mark.parametrize("sizes", [[(4, 5), (2, 3)], [(1, 1)], [(3, 7), (2, 4), (1, 2), (1, 1)]])
@pytest.mark.parametrize(("num_classes", "num_priors", "box_dim"), [(3, 2, 4), (1, 1, 4), (80, 9, 5)])
def test_shapes(sizes, num_classes, num_priors, box_dim):
    network = head(num_classes=num_classes, num_priors=num_priors, box_dim=box_dim)
    logits, deltas, level_sizes, *_ = network(levels(*sizes))
    priors = sum(h * w for h, w in sizes) * num_priors
    assert logits.shape == (2, priors, num_classes)
    assert deltas.shape == (2, priors, box_dim)
    assert level_sizes == sizes


def test_bias_of_one_prior_and_class_reaches_that_prior_in_every_cell():
    network = head(num_priors=3)
    with torch.no_grad():
        network.conv_cls.bias[2 * 3 + 1] = 100  # prior 2, class 1
        network.conv_reg.bias[1 * 4 + 3] = 100  # prior 1, number 3
        logits, deltas, *_ = network(levels((2, 3), (1, 1)))
    assert (logits > 50).nonzero()[:, 1:].tolist() == [[3 * cell + 2, 1] for cell in range(7)] * 2
    assert (deltas > 50).nonzero()[:, 1:].tolist() == [[3 * cell + 1, 3] for cell in range(7)] * 2


@pytest.mark.parametrize(("level", "row", "column"), [(0, 0, 0), (0, 2, 1), (0, 3, 4), (1, 1, 2)])
def test_output_order_is_that_of_the_anchors(level, row, column):
    """What stands out in one cell of one map comes out at the anchors around this cell."""
    sizes, strides = [(4, 5), (2, 3)], [8, 16]
    network = head(num_priors=9, stacked_convs=0)
    maps = [torch.zeros(1, 8, *size) for size in sizes]
    maps[level][0, :, row, column] = 1
    with torch.no_grad():
        for conv in (network.conv_cls, network.conv_reg):
            conv.weight.zero_()
            conv.weight[:, :, 1, 1] = 1
            conv.bias.zero_()
        logits, deltas, level_sizes, *_ = network(maps)
    anchors = AnchorGenerator(strides)(level_sizes)
    for output in (logits, deltas):
        index = (output[0, :, 0] > 0).nonzero()[:, 0]
        assert len(index) == 9
        centers = (anchors[index, :2] + anchors[index, 2:]) / 2
        torch.testing.assert_close(centers, torch.tensor([[column, row]]).float().expand(9, 2) * strides[level])
        assert (torch.diff(index) == 1).all()


@pytest.mark.parametrize("prior_prob", [0.01, 0.001, 0.5])
def test_initial_probability_is_the_prior(prior_prob):
    network = head(prior_prob=prior_prob)
    assert network.conv_cls.bias.sigmoid().tolist() == pytest.approx([prior_prob] * 6)
    logits, deltas, *_ = network([torch.zeros(1, 8, 2, 2)])
    assert logits.sigmoid().flatten().tolist() == pytest.approx([prior_prob] * 24)
    assert not deltas.any()


def test_initialisation_is_gaussian_with_sigma_001():
    network = head(in_channels=64, feat_channels=64)
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert len(convs) == 6
    for name, conv in convs.items():
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.1), name
        assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3), name
        assert name == "conv_cls" or not conv.bias.any(), name


def test_subnets_share_nothing_with_each_other_and_everything_between_levels():
    network = head()
    x = torch.randn(1, 8, 3, 3)
    logits = network([x, x]).logits
    assert torch.equal(logits[:, :18], logits[:, 18:])
    logits.sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == ("cls" in name), name


def test_group_normalisation():
    network = head(norm_cfg={"type": "GN", "num_groups": 3})
    norms = [m for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert [m.num_groups for m in norms] == [3] * 4
    assert network.cls_convs[0].conv.bias is None
    assert network(levels((2, 2)))[0].isfinite().all()
    assert not any(isinstance(m, nn.GroupNorm) for m in head().modules())


@pytest.mark.parametrize(("stacked_convs", "width"), [(0, 8), (1, 6), (4, 6)])
def test_depth(stacked_convs, width):
    network = head(stacked_convs=stacked_convs)
    assert len(network.cls_convs) == len(network.reg_convs) == stacked_convs
    assert network.conv_cls.in_channels == width
    assert network(levels((1, 1)))[0].shape == (2, 2, 3)
