"""Heads beside RetinaNet's, and what a head's levels may share."""

import math

import pytest
import torch

from rdet.errors import ConfigError
from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.dense_heads.atss_head import ATSSHead
from rdet.models.dense_heads.dense_head import DenseHead
from rdet.models.dense_heads.fcos_head import FCOSHead
from rdet.models.dense_heads.nanodet_head import NanoDetHead
from rdet.models.dense_heads.tood_anchor_head import TOODAnchorHead
from rdet.models.dense_heads.tood_head import TaskDecomposition, TOODHead, aligned_logit, displaced, displaced_corners

GN = {"type": "GN", "num_groups": 2}


def build(cls, **options):
    torch.manual_seed(0)
    defaults = {"in_channels": 4, "num_classes": 3, "num_priors": 1, "num_levels": 2, "feat_channels": 4}
    return cls(**{**defaults, "stacked_convs": 2, **options})


def maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 4, *size, generator=generator) for size in ((4, 5), (2, 3))]


@pytest.mark.parametrize("kernel_size", [-3, 0, 2])
def test_kernels_are_odd(kernel_size):
    """Others would give more predictions than there are priors."""
    with pytest.raises(ConfigError, match=f"kernel_size is {kernel_size}; it must be odd"):
        build(NanoDetHead, kernel_size=kernel_size)


@pytest.mark.parametrize("num_priors", [1, 3])
@pytest.mark.parametrize("cls", [DenseHead, ATSSHead, FCOSHead])
def test_quality_is_one_number_a_prior_from_the_box_tower(cls, num_priors):
    head = build(cls, num_priors=num_priors, with_quality=True)
    predictions = head(maps())
    assert predictions.quality_logits.shape == predictions.logits.shape[:2] == (2, 26 * num_priors)
    predictions.quality_logits.sum().backward()
    assert all(p.grad is None for p in head.cls_convs.parameters())
    assert all(p.grad.any() for p in head.reg_convs.parameters())
    assert build(cls)(maps()).quality_logits is None


def test_level_lengths():
    predictions = build(DenseHead, num_priors=3)(maps())
    assert predictions.level_lengths == [60, 18]


def test_conv_bias():
    assert build(DenseHead, norm_cfg=GN).cls_convs[0].conv.bias is None
    assert build(DenseHead, norm_cfg=GN, conv_bias=True).cls_convs[0].conv.bias is not None
    assert build(DenseHead).cls_convs[0].conv.bias is not None


def test_unshared_towers_learn_for_their_level_only():
    head = build(DenseHead, share="none")
    predictions = head(maps())
    (predictions.logits[:, 20:].sum() + predictions.deltas[:, 20:].sum()).backward()
    for towers in (head.cls_convs, head.reg_convs):
        assert not any(p.grad.any() for p in towers[0].parameters())
        assert all(p.grad.any() for p in towers[1].parameters())
    shared = sum(p.numel() for p in build(DenseHead).parameters())
    final = sum(p.numel() for p in [*head.conv_cls.parameters(), *head.conv_reg.parameters()])
    assert sum(p.numel() for p in head.parameters()) - final == 2 * (shared - final)


def test_separate_norms_share_the_convolutions():
    first, second = build(DenseHead, share="convs", norm_cfg={"type": "BN"}, conv_bias=True).reg_convs
    assert first[0].conv.bias is second[0].conv.bias
    head = build(DenseHead, share="convs", norm_cfg={"type": "BN"})
    first, second = head.cls_convs
    assert first[0].conv.weight is second[0].conv.weight
    assert first[0].norm.weight is not second[0].norm.weight
    first_map, second_map = maps()
    head([first_map, second_map + 5])
    means = [tower[0].norm.running_mean for tower in head.cls_convs]
    assert not torch.allclose(*means)
    # A state dict with the same convolution under two names loads as it is.
    other = build(DenseHead, share="convs", norm_cfg={"type": "BN"})
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.cls_convs[1][0].norm.running_mean, means[1])


def test_sharing_needs_a_known_word_and_a_norm():
    with pytest.raises(ValueError, match=r"bbox_head\.share is 'some'; valid: 'all', 'convs', 'none'"):
        build(DenseHead, share="some")
    with pytest.raises(ValueError, match=r"bbox_head\.share='convs' gives each level its own normalisation: set norm"):
        build(DenseHead, share="convs")


@pytest.mark.parametrize(("cls", "box_dim"), [(ATSSHead, 8), (TOODHead, 4)])
def test_scales_are_factors_of_their_levels(cls, box_dim):
    head = build(cls, box_dim=box_dim)
    before = head(maps())
    with torch.no_grad():
        head.scales[1].scale.fill_(3.0)
    after = head(maps())
    torch.testing.assert_close(after.deltas[:, :20], before.deltas[:, :20])
    torch.testing.assert_close(after.deltas[:, 20:], 3 * before.deltas[:, 20:])
    assert after.deltas.shape == (2, 26, box_dim)
    torch.testing.assert_close(after.logits, before.logits)


@pytest.mark.parametrize("scale_levels", [True, False])
def test_fcos_distances_are_not_negative(scale_levels):
    head = build(FCOSHead, scale_levels=scale_levels)
    plain = build(DenseHead)
    plain.load_state_dict(head.state_dict(), strict=False)
    expected = plain(maps()).deltas
    assert (expected < 0).any()
    torch.testing.assert_close(head(maps()).deltas, expected.clamp(min=0))
    assert ("scales.0.scale" in head.state_dict()) == scale_levels


def test_aligned_logit():
    first, second = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)) * 6
    probability = (first.double().sigmoid() * second.double().sigmoid()).sqrt()
    torch.testing.assert_close(aligned_logit(first, second).double(), torch.logit(probability), rtol=1e-4, atol=1e-4)
    wild = torch.tensor([-1e4, 80.0, 1e4], requires_grad=True)
    result = aligned_logit(wild, wild)
    result.sum().backward()
    assert result.isfinite().all()
    assert wild.grad.isfinite().all()


@pytest.mark.parametrize("size", [(3, 5), (1, 5), (3, 1), (1, 1)])
def test_displaced_without_offset_changes_nothing(size):
    distance = torch.rand(2, 4, *size)
    torch.testing.assert_close(displaced(distance, torch.zeros(2, 8, *size)), distance)


def test_displaced_sides_are_seen_from_the_own_cell():
    """All cells see the same box, so that wherever a side is looked up, it stays where it is."""
    x, y = torch.meshgrid(torch.arange(6.0), torch.arange(4.0), indexing="xy")
    left, top, right, bottom = 0.5, -1.0, 4.25, 3.0
    distance = torch.stack([x - left, y - top, right - x, bottom - y])[None]
    offset = torch.randn(1, 8, 4, 6, generator=torch.Generator().manual_seed(0)) * 3  # some lead out of the map
    torch.testing.assert_close(displaced(distance, offset), distance)


def test_displaced_by_one_cell():
    distance = torch.zeros(1, 4, 1, 3)
    distance[0, :, 0] = torch.tensor([1.0, 10, 100])
    offset = torch.zeros(1, 8, 1, 3)
    offset[0, 0] = 1  # left is looked up one cell to the right
    offset[0, 4] = -0.5  # right half a cell to the left
    result = displaced(distance, offset)
    assert result[0, 0, 0].tolist() == pytest.approx([9, 99, 100], rel=1e-5)
    assert result[0, 2, 0].tolist() == pytest.approx([1, 5, 54.5], rel=1e-5)
    torch.testing.assert_close(result[0, 1::2], distance[0, 1::2])


def test_tood_starts_at_the_prior_probability_and_one_stride():
    head = build(TOODHead)
    predictions = head(maps())
    torch.testing.assert_close(predictions.logits.sigmoid(), torch.full((2, 26, 3), 0.01), rtol=0.05, atol=0)
    torch.testing.assert_close(predictions.deltas, torch.ones(2, 26, 4), rtol=0.05, atol=0)
    assert not head.conv_offset(torch.randn(1, 8, 3, 5)).any()  # each side is the cell's own


def test_tood_order_is_by_level_row_and_column():
    head = build(TOODHead)
    for conv in head.modules():  # no cell sees another, but for the attention
        if isinstance(conv, torch.nn.Conv2d) and conv.kernel_size == (3, 3):
            conv.weight.data *= 30 * (torch.arange(9).reshape(3, 3) == 4)
    first, second = maps()
    before = head([first, second])
    second[:, :, 1, 2] += 10
    after = head([first, second])
    assert torch.equal(before.logits[:, :20], after.logits[:, :20])
    change = (after.logits - before.logits).abs().sum(dim=(0, 2))
    assert change.argmax() == 20 + 1 * 3 + 2


def test_tood_stays_finite():
    head = build(TOODHead)
    torch.nn.init.constant_(head.conv_reg.bias, 90.0)
    assert head(maps()).deltas.isfinite().all()


@pytest.mark.parametrize("norm_cfg", [None, GN])
def test_attention_weighs_the_layers(norm_cfg):
    """The weights may stand at the input or at the convolution."""
    torch.manual_seed(0)
    part = TaskDecomposition(4, 3, norm_cfg)
    shared = torch.randn(2, 12, 5, 6)
    pooled = shared.mean(dim=(2, 3), keepdim=True)
    weights = part.attention(pooled).repeat_interleave(4, dim=1)
    assert weights.std() > 0
    torch.testing.assert_close(part(shared, pooled), part.mix(shared * weights), rtol=1e-5, atol=1e-6)


def test_tood_needs_points_and_distances():
    with pytest.raises(ValueError, match=r"not 4 numbers at 9; set model\.anchor_generator to PointGenerator"):
        build(TOODHead, num_priors=9)
    with pytest.raises(ValueError, match="not 68 numbers at 1"):
        build(TOODHead, box_dim=68)


def test_first_version_of_fcos():
    """Distances are exp(s x), and the centerness grows from the tower of the classes."""
    head = build(FCOSHead, distance="exp", quality_tower="cls", with_quality=True)
    head.conv_reg.bias.data.fill_(0.5)
    predictions = head(maps())
    assert predictions.deltas.mean().item() == pytest.approx(math.exp(0.5), rel=0.05)
    head.scales[1].scale.data.fill_(3.0)
    scaled = head(maps()).deltas
    torch.testing.assert_close(scaled[:, 20:].log(), 3 * predictions.deltas[:, 20:].log())
    assert torch.equal(scaled[:, :20], predictions.deltas[:, :20])
    predictions.quality_logits.sum().backward()
    assert all(p.grad.any() for p in head.cls_convs.parameters())
    assert all(p.grad is None for p in head.reg_convs.parameters())
    with pytest.raises(ValueError, match="bbox_head.distance is 'log'; valid: 'relu', 'exp'"):
        build(FCOSHead, distance="log")
    with pytest.raises(ValueError, match="bbox_head.quality_tower is 'both'; valid: 'reg', 'cls'"):
        build(FCOSHead, quality_tower="both")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_distances_in_pixels_have_room_in_half_precision(dtype):
    head = build(FCOSHead, distance="exp")
    head.conv_reg.bias.data.fill_(12.0)
    with torch.autocast("cpu", dtype=dtype):
        found = head(maps()).deltas
    torch.testing.assert_close(found, torch.full((2, 26, 4), math.exp(12)), rtol=0.1, atol=0)


def test_attention_of_tood_has_an_eighth_of_the_channels():
    """256 channels in 6 layers: 32 hidden ones, as the released weights have."""
    attention = TaskDecomposition(256, 6, None).attention
    assert attention[0].weight.shape == (32, 6 * 256, 1, 1)
    assert attention[2].weight.shape == (6, 32, 1, 1)


def distances(seed=0):
    return 0.3 + torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(seed)) * 3


def test_corners_without_offset_stay():
    torch.testing.assert_close(displaced_corners(distances(), torch.zeros(2, 8, 5, 6)), distances())


def test_corners_from_outside_of_the_map_make_an_empty_box_at_the_first_cell():
    """It is not inverted, so that the box does not stay."""
    x, y = torch.arange(6.0).expand(5, 6), torch.arange(5.0)[:, None].expand(5, 6)
    empty = torch.stack([x, y, -x, -y]).expand(2, 4, 5, 6)
    torch.testing.assert_close(displaced_corners(distances(), torch.full((2, 8, 5, 6), 100.0)), empty)
    head = build(TOODHead, displace="corners")
    torch.nn.init.constant_(head.conv_offset[-1].bias, 100.0)
    found = head([torch.randn(2, 4, 5, 6)]).deltas
    torch.testing.assert_close(found, empty.flatten(2).transpose(1, 2))


def test_each_corner_is_read_where_its_offset_points():
    """A whole number of cells: the side of that cell's box, by its place in the image."""
    distance, offset = distances(), torch.zeros(2, 8, 5, 6)
    offset[:, 0] = 3  # the left side, three cells to the right
    offset[:, 7] = -1  # the bottom side, one row above
    moved = displaced_corners(distance, offset)
    x, y = torch.arange(6.0), torch.arange(5.0)[:, None]
    left, bottom = x - distance[:, 0], y + distance[:, 3]
    # Where the other side of the box lies beyond, the box stays.
    own_right, own_top = x + distance[:, 2], y - distance[:, 1]
    wanted_left = torch.cat([left[:, :, 3:], torch.zeros(2, 5, 3)], dim=2)  # 0 outside of the map
    wanted_bottom = torch.cat([torch.zeros(2, 1, 6), bottom[:, :-1]], dim=1)
    inverted = (wanted_left > own_right) | (own_top > wanted_bottom)
    assert inverted.any()
    assert not inverted.all()
    torch.testing.assert_close(moved[:, 0], torch.where(inverted, distance[:, 0], x - wanted_left))
    torch.testing.assert_close(moved[:, 3], torch.where(inverted, distance[:, 3], wanted_bottom - y))
    torch.testing.assert_close(moved[:, 1:3], distance[:, 1:3])


def test_corners_and_distances_agree_inside_of_the_map():
    """By their place in the image, sides are the same from wherever they are seen."""
    inner = distances(1)
    offset = torch.rand(2, 8, 5, 6, generator=torch.Generator().manual_seed(2)) - 0.5
    offset[:, :, 0] = offset[:, :, -1] = 0
    offset[..., 0] = offset[..., -1] = 0
    torch.testing.assert_close(displaced_corners(inner, offset), displaced(inner, offset), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="bbox_head.displace is 'boxes'; valid: 'distances', 'corners'"):
        build(TOODHead, displace="boxes")


def test_tood_on_anchors_decodes_deltas():
    """Its distances are those that the coder of deltas gives for a square of 4 strides around the centre."""
    stds = (0.1, 0.2, 0.3, 0.4)
    head = build(TOODAnchorHead, base_size=4.0, target_stds=stds)
    x = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(1)) * 9
    x = torch.cat([x, -x])  # far enough to be clamped on both sides
    anchor = torch.tensor([-2.0, -2.0, 2.0, 2.0])
    coder = DeltaXYWHBBoxCoder(target_stds=stds, clamp_both_sides=True)
    boxes = coder.decode(anchor, x.permute(0, 2, 3, 1))
    expected = torch.cat([-boxes[..., :2], boxes[..., 2:]], dim=-1)
    torch.testing.assert_close(head.distance(x, 0).permute(0, 2, 3, 1), expected)
    with torch.no_grad():
        head.scales[1].scale.fill_(0.0)
    torch.testing.assert_close(head.distance(x, 1), torch.full_like(x, 2.0))


def test_tood_on_anchors_refuses_wrong_numbers():
    with pytest.raises(ValueError, match="bbox_head.base_size is 0; it must be positive"):
        build(TOODAnchorHead, base_size=0)
    with pytest.raises(ValueError, match="it must be a list of 4 numbers"):
        build(TOODAnchorHead, target_stds=(1.0,))


@pytest.mark.parametrize("displace", ["distances", "corners"])
def test_tood_in_mixed_precision(displace):
    head = build(TOODHead, displace=displace)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = head(maps())
    (predictions.logits.float().sum() + predictions.deltas.float().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    torch.testing.assert_close(predictions.deltas.float(), head(maps()).deltas, rtol=0.05, atol=0.05)
