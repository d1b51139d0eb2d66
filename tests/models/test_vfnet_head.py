"""VarifocalNet's head: the star, the refined boxes, and what learns from which loss."""

import pytest
import torch
from torchvision.ops import DeformConv2d

from rdet.models.dense_heads.vfnet_head import VFNetHead, star_convolution, star_offset


def build(**options):
    torch.manual_seed(0)
    return VFNetHead(**{"in_channels": 4, "num_classes": 3, "feat_channels": 4, "num_levels": 2, **options})


def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, *size, generator=generator) for size in ((6, 8), (3, 4))]


def test_star_of_a_box_of_two_cells_is_the_kernel_itself():
    assert torch.equal(star_offset(torch.ones(2, 4, 3, 5)), torch.zeros(2, 18, 3, 5))


def test_star_lies_on_the_box():
    """Row by row: corners and middles of the sides, the centre in the middle."""
    left, top, right, bottom = 2.0, 3.0, 5.0, 7.0
    offset = star_offset(torch.tensor([left, top, right, bottom]).view(1, 4, 1, 1)).view(9, 2)
    kernel = torch.tensor([[y, x] for y in (-1.0, 0, 1) for x in (-1.0, 0, 1)])
    points = [[y, x] for y in (-top, 0, bottom) for x in (-left, 0, right)]
    assert (kernel + offset).tolist() == points


def test_star_convolution_looks_at_the_box():
    """Of a map that holds its own column, a kernel of one weight at the right middle reads the right side's column."""
    head = build(stacked_convs=0)
    columns = torch.arange(20.0).expand(1, 4, 9, 20).contiguous()
    weight = torch.zeros(4, 4, 3, 3)
    weight[0, 0, 1, 2] = 1
    distance = torch.tensor([1.0, 2.0, 3.5, 1.5]).view(1, 4, 1, 1).expand(1, 4, 9, 20)
    head.cls_star_conv.weight.data = weight
    seen = head.cls_star_conv(columns, star_offset(distance))
    assert seen[0, 0, 4, :15].tolist() == pytest.approx([x + 3.5 for x in range(15)])


def test_shapes_and_what_is_refined():
    head = build(norm_cfg={"type": "GN", "num_groups": 2})
    predictions = head(maps())
    assert predictions.logits.shape == (2, 60, 3)
    assert predictions.deltas.shape == predictions.initial_deltas.shape == (2, 60, 4)
    # At the start both factors are near 1: the box is as far from the point as its level's limit, 8 strides.
    assert predictions.initial_deltas.mean().item() == pytest.approx(8, rel=0.01)
    assert predictions.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.05)
    torch.nn.init.zeros_(head.conv_refine.weight)
    torch.nn.init.constant_(head.conv_refine.bias, 0.25)
    head.refine_scales[1].scale.data.fill_(-2.0)
    ratio = (lambda p: p.deltas / p.initial_deltas)(head(maps()))
    torch.testing.assert_close(ratio[:, :48], torch.full((2, 48, 4), 0.25).exp())
    torch.testing.assert_close(ratio[:, 48:], torch.full((2, 12, 4), -0.5).exp())


@pytest.mark.parametrize("star_gradient", [0.0, 0.1, 1.0])
def test_first_boxes_learn_from_the_others_only_by_where_these_look(star_gradient):
    """The factor multiplies a constant; a part of the gradient passes through the star."""
    head = build(star_gradient=star_gradient, stacked_convs=1)
    gradients = []
    for share in (star_gradient, 1.0):
        head.star_gradient = share
        head.zero_grad()
        predictions = head(maps())
        (predictions.deltas.sum() + predictions.logits.sum()).backward()
        gradients.append(head.conv_reg.weight.grad.clone())
    torch.testing.assert_close(gradients[0], star_gradient * gradients[1], rtol=1e-4, atol=1e-9)
    assert gradients[1].any()


def test_each_output_is_read_where_the_paper_reads_it():
    """The star looks at the towers' features, and ReLU follows it; the first box alone has one more convolution."""
    head = build(stacked_convs=1)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.mul_(12 if name.endswith("weight") else 1)  # so that the star sees more than its place
        head.scales[1].scale.fill_(0.5)
    predictions, start = head(maps()), 0
    for level, x in enumerate(maps()):
        cls_features, box_features = head.cls_convs(x), head.reg_convs(x)
        first = 8 * (head.scales[level].scale * head.conv_reg(head.reg_conv(box_features))).exp()
        seen = head.reg_star_conv(box_features, star_offset(first)).relu()
        refined = first * (head.refine_scales[level].scale * head.conv_refine(seen)).exp()
        logits = head.conv_cls(head.cls_star_conv(cls_features, star_offset(first)).relu())
        cells = slice(start, start + x[0, 0].numel())
        for found, expected in (
            (predictions.initial_deltas, first),
            (predictions.deltas, refined),
            (predictions.logits, logits),
        ):
            torch.testing.assert_close(found[:, cells], expected.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)
        start = cells.stop


@pytest.mark.parametrize("layer", ["conv_reg", "conv_refine"])
def test_extreme_outputs_stay_finite(layer):
    head = build()
    torch.nn.init.constant_(getattr(head, layer).bias, 1e3)
    predictions = head(maps())
    assert all(value.isfinite().all() for value in (predictions.logits, predictions.deltas, predictions.initial_deltas))


def test_the_star_starts_as_small_as_other_convolutions():
    head = build(feat_channels=32)
    for layer in (head.reg_conv.conv, head.reg_star_conv, head.cls_star_conv):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("options", [{"num_priors": 3}, {"box_dim": 68}, {"num_priors": [1, 2]}])
def test_needs_one_prior_a_cell_and_distances(options):
    with pytest.raises(ValueError, match="VFNetHead predicts four distances at one point of a cell, not"):
        build(**options)


def test_mixed_precision():
    """The star convolution is computed in float32 there too."""
    head = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = head(maps())
    (predictions.logits.float().sum() + predictions.deltas.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    full = head(maps())
    torch.testing.assert_close(predictions.deltas, full.deltas, rtol=0.02, atol=0.05)
    torch.testing.assert_close(predictions.logits.float(), full.logits, rtol=0.02, atol=0.05)


def test_star_convolution_in_float64():
    layer = DeformConv2d(4, 6, 3, padding=1, bias=False).double()
    features, offset = torch.rand(1, 4, 5, 5, dtype=torch.float64), torch.zeros(1, 18, 5, 5)
    expected = torch.nn.functional.conv2d(features, layer.weight, padding=1)
    torch.testing.assert_close(star_convolution(layer, features, offset), expected)
