import torch
import torch.nn.functional as F
from torch import nn

from rdet.models.necks.bifpn import BiFPN, _Fusion


def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, 128 // s, 256 // s, generator=generator) for c, s in ((4, 8), (6, 16), (8, 32))]


def neck(**options):
    torch.manual_seed(0)
    network = BiFPN([4, 6, 8], [8, 16, 32], **{"out_channels": 5, "num_blocks": 1, **options}).eval()
    for module in network.modules():
        if isinstance(module, _Fusion):
            nn.init.uniform_(module.weight, 0.2, 2.0)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
    return network


def up(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def down(x):
    """Maxima of 3x3 around every second place; what lies outside is no maximum."""
    x = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    return x.unfold(2, 3, 2).unfold(3, 3, 2).amax((-2, -1))


def fused(node, *inputs):
    """Equations of section 3.3: sum of w_i x_i / (eps + sum of w_i), then the convolution."""
    total = sum(w.item() for w in node.weight) + 1e-4
    x = sum(w.item() / total * x for w, x in zip(node.weight, inputs, strict=True))
    return node.norm(node.pointwise(node.depthwise(x * torch.sigmoid(x))))


def test_formulas():
    """The nodes of figure 2d, named as there: td on the way down, out on the way up."""
    network, inputs = neck(), maps()
    p3, p4, p5 = (conv(x) for conv, x in zip(network.lateral_convs, inputs, strict=True))
    p6 = down(network.extra_conv(inputs[2]))
    p7 = down(p6)
    block = network.blocks[0]
    td6 = fused(block.down[3], p6, up(p7))
    td5 = fused(block.down[2], p5, up(td6))
    td4 = fused(block.down[1], p4, up(td5))
    out3 = fused(block.down[0], p3, up(td4))
    out4 = fused(block.up[0], p4, td4, down(out3))
    out5 = fused(block.up[1], p5, td5, down(out4))
    out6 = fused(block.up[2], p6, td6, down(out5))
    out7 = fused(block.up[3], p7, down(out6))
    for found, expected in zip(network(inputs), (out3, out4, out5, out6, out7), strict=True):
        torch.testing.assert_close(found, expected)


def test_blocks_follow_each_other():
    network, inputs = neck(num_blocks=3), maps()
    assert len(network.blocks) == 3
    levels = [conv(x) for conv, x in zip(network.lateral_convs, inputs, strict=True)]
    levels.append(down(network.extra_conv(inputs[2])))
    levels.append(down(levels[-1]))
    for block in network.blocks:
        levels = block(levels)
    for found, expected in zip(network(inputs), levels, strict=True):
        torch.testing.assert_close(found, expected)


def identity_fusion(*weights):
    """A node that hands on its SiLU of the fused maps."""
    node = _Fusion(len(weights), 1, norm_cfg=None)
    node.weight.data = torch.tensor(weights)
    nn.init.dirac_(node.depthwise.weight)
    nn.init.ones_(node.pointwise.weight)
    nn.init.zeros_(node.pointwise.bias)
    return node


def test_fusion_is_a_mean():
    x = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(identity_fusion(5.0, 5.0)([x, x]), F.silu(x), rtol=1e-4, atol=1e-4)
    # Only the ratio of the weights counts.
    few, many = identity_fusion(1.0, 3.0)([x, 2 * x]), identity_fusion(10.0, 30.0)([x, 2 * x])
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(many, F.silu(1.75 * x), rtol=1e-4, atol=1e-4)


def test_weights_below_zero_count_as_zero():
    x, y = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 100.0)
    torch.testing.assert_close(identity_fusion(1.0, -7.0)([x, y]), F.silu(x), rtol=1e-3, atol=1e-3)
    assert identity_fusion(-1.0, -1.0)([x, y]).item() == 0  # and not 0 / 0


def test_all_weights_start_equal():
    torch.manual_seed(0)
    nodes = [m for m in BiFPN([4], [8]).modules() if isinstance(m, _Fusion)]
    assert len(nodes) == 3 * 2 * 2  # blocks, ways, nodes of three levels
    assert all(torch.equal(node.weight, torch.ones(len(node.weight))) for node in nodes)


def test_number_of_weights():
    """Width w: laterals and P6 sum(C) w and BatchNorm's 2 w each; a node w (9 + w) + 2 w and its fusion weights."""
    with torch.device("meta"):
        network = BiFPN([40, 112, 320], [8, 16, 32], out_channels=64, num_blocks=3)
    laterals = (40 + 112 + 320 + 320) * 64 + 4 * 2 * 64
    block = 8 * (64 * (9 + 64) + 2 * 64) + 4 * 2 + 3 * 3 + 2
    assert sum(p.numel() for p in network.parameters()) == laterals + 3 * block


def test_a_single_level_passes_unchanged():
    network = BiFPN([4], [16], out_channels=5, num_extra=0).eval()
    (x,) = maps()[:1]
    (found,) = network([x])
    assert torch.equal(found, network.lateral_convs[0](x))
