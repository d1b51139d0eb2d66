"""The parts of RTMDet: blocks, sizes, shared convolutions, its matching and its losses."""

import pytest
import torch
import torch.nn.functional as F
from small_detector import EMPTY, ONE, SIZE, TWO, build
from torch import nn

from rdet.models.assigners.dynamic_soft_label_assigner import DynamicSoftLabelAssigner
from rdet.models.backbones.csp_next import CSPNeXt
from rdet.models.csp import BATCH_NORM, SILU, ConvFactory, CSPLayer
from rdet.models.csp_next import ChannelAttention, CSPNeXtBlock
from rdet.models.dense_heads.rtmdet_head import RTMDetSepBNHead
from rdet.models.necks.csp_next_pafpn import CSPNeXtPAFPN
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND
from rdet.structures.ground_truth import GroundTruth

MAKE = ConvFactory(BATCH_NORM, SILU)
RTMDET = {
    "type": "OneStageDetector",
    "bbox_head": {"type": "RTMDetSepBNHead", "feat_channels": 16, "stacked_convs": 1},
    "anchor_generator": {"type": "PointGenerator", "center_offset": 0.0},
    "bbox_coder": {"type": "DistancePointBBoxCoder"},
    "assigner": {"type": "DynamicSoftLabelAssigner", "share_candidates": True},
    "loss_cls": {"type": "QualityFocalLoss"},
    "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
    "cls_mass": {"type": "SameQuality"},
    "bbox_weight": {"type": "SameQuality"},
}


def randn(*shape, seed=1, dtype=None):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(
    "block",
    [
        lambda: CSPNeXtBlock(2, MAKE),
        lambda: ChannelAttention(2),
        lambda: CSPLayer(2, 4, [lambda width: CSPNeXtBlock(width, MAKE, False)], MAKE, ChannelAttention),
    ],
)
def test_gradients(block):
    torch.manual_seed(0)
    block = block().double().eval()
    x = randn(1, 2, 3, 4, dtype=torch.float64).requires_grad_()
    parameters = [parameter.requires_grad_() for parameter in block.parameters()]
    assert torch.autograd.gradcheck(lambda x, *_: block(x), (x, *parameters))


def test_attention_by_hand():
    block = ChannelAttention(2)
    nn.init.constant_(block.fc.weight, 1.0)
    nn.init.constant_(block.fc.bias, 0.0)
    x = randn(1, 2, 4, 5)
    weight = (x.mean(dim=(2, 3)).sum() / 6 + 0.5).clamp(0, 1)
    torch.testing.assert_close(block(x), x * weight)


@pytest.mark.parametrize(
    ("depth", "width", "parameters"),
    [(0.167, 0.375, 4.88), (0.33, 0.5, 8.89), (0.67, 0.75, 24.71), (1, 1, 52.3), (1.33, 1.25, 94.86)],
)
def test_parameters_are_those_of_the_paper(depth, width, parameters):
    """Millions, as MMDetection's README lists them: 4.8, 8.89, 24.71, 52.3, 94.86."""
    with torch.device("meta"):
        backbone = CSPNeXt(depth, width)
        channels = backbone.out_channels[0]
        neck = CSPNeXtPAFPN(backbone.out_channels, backbone.strides, channels, max(round(3 * depth), 1))
        head = RTMDetSepBNHead(channels, 80, feat_channels=channels)
    count = sum(p.numel() for part in (backbone, neck, head) for p in part.parameters())
    assert count / 1e6 == pytest.approx(parameters, abs=0.03)


@pytest.mark.parametrize("depthwise", [False, True])
def test_levels_share_convolutions_and_not_their_normalisation(depthwise):
    torch.manual_seed(0)
    head = RTMDetSepBNHead(4, 3, num_levels=2, feat_channels=4, use_depthwise=depthwise)
    weights = [[p for p in tower.parameters() if p.ndim == 4] for tower in head.cls_convs]
    assert all(one is other for one, other in zip(*weights, strict=True))
    norms = [[m for m in tower.modules() if isinstance(m, nn.BatchNorm2d)] for tower in head.reg_convs]
    assert not set(norms[0]) & set(norms[1])
    assert head.conv_cls[0].weight is not head.conv_cls[1].weight
    assert head.conv_cls[1].weight.detach().std().item() == pytest.approx(0.01, rel=0.5)
    maps = [randn(2, 4, 4, 5), randn(2, 4, 2, 3)]
    exponential = head.eval()(maps).deltas
    head.exp_on_reg = False
    torch.testing.assert_close(head(maps).deltas.exp(), exponential)
    assert head(maps).logits.detach().sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)


def test_costs_by_hand():
    """Two points in a box 20 wide: cost of class, of overlap and of the distance of the centres."""
    offered = {
        "priors": torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]]),
        "boxes": torch.tensor([[0.0, 0, 20, 8]]),
        "labels": torch.tensor([0]),
        "scores": torch.tensor([[0.5], [0.9]]),
        "predicted": torch.tensor([[0.0, 0, 10, 8], [0, 0, 9, 8]]),
    }
    # Class: 0 and 0.2025 * (-0.45 log 0.9 - 0.55 log 0.1) = 0.266. Overlap: log 2 and -log 0.45 = 0.693, 0.799 (times
    # the weight). Distance: 10^(0.75 - 3) and 10^(0.25 - 3) = 0.0056, 0.0018.
    assert DynamicSoftLabelAssigner(iou_weight=0)(**offered).tolist() == [0, BACKGROUND]
    assert DynamicSoftLabelAssigner(iou_weight=3)(**offered).tolist() == [0, BACKGROUND]
    assert DynamicSoftLabelAssigner(iou_weight=0, soft_center_radius=0.01)(**offered).tolist() == [BACKGROUND, 0]
    nearer = {**offered, "predicted": torch.tensor([[0.0, 0, 10, 8], [0, 0, 18, 8]])}  # IoU 0.9 at a score of 0.9
    assert DynamicSoftLabelAssigner()(**nearer).tolist() == [BACKGROUND, 0]


def test_all_boxes_share_candidates_and_any_distance_is_finite():
    """A prior inside another box alone is taken if it is cheapest, and one 60 strides off if there is no other."""
    priors = PointGenerator([8])([(1, 80)])
    boxes = torch.tensor([[0.0, 0, 8, 8], [600, 0, 640, 8]])
    predicted = boxes[:1].expand(len(priors), 4).clone()
    scores = torch.full((len(priors), 1), 0.5)
    assigner = DynamicSoftLabelAssigner(share_candidates=True)
    found = assigner(priors, boxes, torch.tensor([0, 0]), scores, predicted)
    assert found[0] == 0  # inside
    assert found[75:].tolist() == [0, 0, 1, 0, 0]  # k is 6: the IoU of all is 1; the other box needs the nearest
    assert found[1:75].eq(BACKGROUND).all()
    alone = DynamicSoftLabelAssigner()(priors, boxes, torch.tensor([0, 0]), scores, predicted)
    assert alone.tolist() == [0, *[BACKGROUND] * 74, *[1 if index == 77 else BACKGROUND for index in range(75, 80)]]
    one_at_a_time = DynamicSoftLabelAssigner(chunk_size=1, share_candidates=True)(
        priors, boxes, torch.tensor([0, 0]), scores, predicted
    )
    assert torch.equal(found, one_at_a_time)


def test_losses_by_hand():
    """Focal loss of all classes against the IoU, boxes weighted by it, both over its sum."""
    model = build(**RTMDET).train()
    predictions = model(randn(3, 3, *SIZE))
    samples = [TWO, EMPTY, ONE]
    priors = model.anchor_generator(predictions.level_sizes)
    found = model.loss(predictions, priors, samples)
    matches = model.match(predictions, priors, GroundTruth.of_samples(samples))
    assert len(matches.prior) >= 3
    boxes = torch.cat([each.gt_instances.bboxes for each in samples])[matches.gt_index]
    labels = torch.cat([each.gt_instances.labels for each in samples])[matches.gt_index]
    at = matches.image, matches.prior
    decoded = model.bbox_coder.decode(priors[matches.prior], predictions.deltas[at])
    top_left, bottom_right = torch.maximum(decoded[:, :2], boxes[:, :2]), torch.minimum(decoded[:, 2:], boxes[:, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = [(each[:, 2:] - each[:, :2]).prod(dim=1) for each in (decoded, boxes)]
    union = areas[0] + areas[1] - overlap
    low, high = torch.minimum(decoded[:, :2], boxes[:, :2]), torch.maximum(decoded[:, 2:], boxes[:, 2:])
    hull = (high - low).prod(dim=1)
    iou = overlap / union
    target = torch.zeros_like(predictions.logits)
    target[(*at, labels)] = iou.detach()
    mass = iou.detach().sum().clamp(min=1)
    entropy = F.binary_cross_entropy_with_logits(predictions.logits, target, reduction="none")
    giou = iou - (hull - union) / hull
    expected = {
        "loss_cls": ((target - predictions.logits.sigmoid()) ** 2 * entropy).sum() / mass,
        "loss_bbox": 2 * ((1 - giou) * iou.detach()).sum() / mass,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_impossible_options():
    with pytest.raises(ValueError, match="expected candidate_topk >= 1 and iou_weight >= 0, got 0 and 3"):
        DynamicSoftLabelAssigner(candidate_topk=0)
