"""The parts of YOLOX: blocks, pyramid, head, and what its objectness is for."""

import pytest
import torch
import torch.nn.functional as F
from small_detector import EMPTY, ONE, SIZE, TWO, build, sample
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rdet.errors import ConfigError
from rdet.models.backbones.csp_darknet import CSPDarknet
from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.csp import BATCH_NORM, SILU, ConvFactory, Focus, SPPBottleneck
from rdet.models.dense_heads.yolox_head import YOLOXHead
from rdet.models.necks.yolox_pafpn import YOLOXPAFPN
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures import DensePredictions
from rdet.structures.ground_truth import GroundTruth

YOLOX = {
    "type": "OneStageDetector",
    "bbox_head": {"type": "YOLOXHead", "feat_channels": 16, "stacked_convs": 1},
    "anchor_generator": {"type": "PointGenerator"},
    "bbox_coder__target_means": (-0.5, -0.5, 0.0, 0.0),
    "assigner": {"type": "SimOTAAssigner", "share_candidates": True, "with_quality": True},
    "loss_cls": {"type": "PositiveCrossEntropyLoss"},
    "loss_bbox": {"type": "IoULoss", "mode": "square", "loss_weight": 5.0},
    "loss_obj": {"type": "CrossEntropyLoss"},
    "loss_l1": {"type": "L1Loss"},
}


def randn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_three_poolings_of_5_are_those_of_5_9_and_13():
    block = SPPBottleneck(4, 6, ConvFactory(BATCH_NORM, SILU)).eval()
    x = randn(1, 4, 20, 17)
    half = block.conv1(x)
    maps = [half, *(F.max_pool2d(half, size, 1, size // 2) for size in (5, 9, 13))]
    assert torch.equal(block(x), block.conv2(torch.cat(maps, dim=1)))


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_focus_keeps_every_pixel(size):
    block = Focus(3, 12, ConvFactory(BATCH_NORM, SILU))
    block.conv = nn.Identity()
    x = randn(1, 3, *size)
    found = block(x)
    assert found.shape == (1, 12, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert torch.equal(found[:, 3:6], F.pad(x, (0, size[1] % 2, 0, size[0] % 2))[..., 1::2, 0::2])
    assert found.abs().sum() == pytest.approx(float(x.abs().sum()), rel=1e-5)


@pytest.mark.parametrize(
    ("depth", "width", "depthwise", "parameters"),
    [(0.33, 0.25, True, 0.91), (0.33, 0.375, False, 5.06), (1, 1, False, 54.21)],
)
def test_parameters_are_those_of_the_paper(depth, width, depthwise, parameters):
    """Millions, as YOLOX's README lists them: nano, tiny, l."""
    with torch.device("meta"):
        backbone = CSPDarknet(depth, width, depthwise)
        channels = backbone.out_channels[0]
        neck = YOLOXPAFPN(backbone.out_channels, backbone.strides, channels, max(round(3 * depth), 1), depthwise)
        head = YOLOXHead(channels, 80, feat_channels=channels, use_depthwise=depthwise)
    count = sum(p.numel() for part in (backbone, neck, head) for p in part.parameters())
    assert round(count / 1e6, 2) == parameters


@pytest.mark.parametrize("sizes", [((16, 32), (8, 16), (4, 8)), ((13, 9), (6, 4), (3, 2)), ((1, 1),) * 3])
def test_pyramid_of_any_sizes(sizes):
    torch.manual_seed(0)
    neck = YOLOXPAFPN([4, 6, 8], [8, 16, 32], 16, 1)
    levels = neck([randn(2, c, *size) for c, size in zip((4, 6, 8), sizes, strict=True)])
    assert [tuple(x.shape) for x in levels] == [(2, 16, *size) for size in sizes]
    assert (neck.out_channels, neck.strides) == ([16] * 3, [8, 16, 32])
    sum(x.square().sum() for x in levels).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in neck.parameters())


def test_a_change_of_any_map_reaches_all_levels():
    torch.manual_seed(0)
    neck = YOLOXPAFPN([4, 6, 8], [8, 16, 32], 16, 1)
    maps = [randn(2, 4, 8, 8), randn(2, 6, 4, 4), randn(2, 8, 2, 2)]
    before = neck(maps)
    for i in range(3):
        changed = [2 * x.abs() if j == i else x for j, x in enumerate(maps)]
        assert all((one - other).abs().max() > 1e-3 for one, other in zip(before, neck(changed), strict=True))


@pytest.mark.parametrize("part", ["neck", "head"])
def test_norms_stay_in_eval_mode(part):
    made = YOLOXPAFPN([4, 6], [8, 16], 8, 1, norm_eval=True) if part == "neck" else YOLOXHead(4, 3, norm_eval=True)
    norms = [module for module in made.train().modules() if isinstance(module, _BatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_objectness_comes_from_the_box_tower():
    torch.manual_seed(0)
    head = YOLOXHead(4, 3, num_levels=2, feat_channels=4)
    predictions = head([randn(2, 4, 4, 5), randn(2, 4, 2, 3)])
    assert predictions.quality_logits.shape == predictions.logits.shape[:2] == (2, 26)
    assert predictions.quality_logits.sigmoid().mean() < 0.05
    predictions.quality_logits.sum().backward()
    assert all(p.grad is None for p in head.cls_convs.parameters())
    with pytest.raises(ConfigError, match="predicts one box at each cell, not 9"):
        YOLOXHead(4, 3, num_priors=9)


def test_boxes_are_encoded_relative_to_the_cells_corner():
    """YOLOX decodes (x + i) * stride and exp(w) * stride, and matches points in the middle of the cells."""
    priors = PointGenerator([8])([(3, 4)])
    coder = DeltaXYWHBBoxCoder(target_means=(-0.5, -0.5, 0.0, 0.0), max_ratio=1e4)
    deltas = randn(12, 4)
    rows, columns = torch.arange(12) // 4, torch.arange(12) % 4
    center = (deltas[:, :2] + torch.stack([columns, rows], dim=1)) * 8
    size = deltas[:, 2:].exp() * 8
    expected = torch.cat([center - size / 2, center + size / 2], dim=1)
    torch.testing.assert_close(coder.decode(priors, deltas), expected)
    torch.testing.assert_close(coder.encode(priors, expected), deltas, rtol=1e-4, atol=1e-5)


def test_losses_by_hand():
    """Objectness of all priors, classes of positives against the IoU, boxes 1 - IoU^2 and L1, over their number."""
    model = build(**YOLOX).train()
    predictions = model(randn(3, 3, *SIZE))
    samples = [TWO, EMPTY, ONE]
    priors = model.anchor_generator(predictions.level_sizes)
    found = model.loss(predictions, priors, samples)
    matches = model.match(predictions, priors, GroundTruth.of_samples(samples))
    count = len(matches.prior)
    assert count >= 3
    boxes = torch.cat([each.gt_instances.bboxes for each in samples])[matches.gt_index]
    labels = torch.cat([each.gt_instances.labels for each in samples])[matches.gt_index]
    at = matches.image, matches.prior
    decoded = model.bbox_coder.decode(priors[matches.prior], predictions.deltas[at])
    top_left, bottom_right = torch.maximum(decoded[:, :2], boxes[:, :2]), torch.minimum(decoded[:, 2:], boxes[:, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = [(each[:, 2:] - each[:, :2]).prod(dim=1) for each in (decoded, boxes)]
    iou = overlap / (areas[0] + areas[1] - overlap)
    bce = F.binary_cross_entropy_with_logits
    is_object = torch.zeros_like(predictions.quality_logits)
    is_object[at] = 1
    target = F.one_hot(labels, 3) * iou.detach()[:, None]
    encoded = model.bbox_coder.encode(priors[matches.prior], boxes)
    expected = {
        "loss_cls": bce(predictions.logits[at], target, reduction="sum") / count,
        "loss_bbox": 5 * (1 - iou**2).sum() / count,
        "loss_obj": bce(predictions.quality_logits, is_object, reduction="sum") / count,
        "loss_l1": (predictions.deltas[at] - encoded).abs().sum() / count,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_ignored_priors_have_no_objectness_loss():
    model = build(**YOLOX).train()
    everywhere = sample(ignored=[[-1000, -1000, 1000, 1000]])
    assert float(model(randn(2, 3, *SIZE), [everywhere] * 2, mode="loss")["loss_obj"].detach()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_quality": {"type": "BinaryCrossEntropyLoss"}}, "model.loss_obj and model.loss_quality both train"),
        ({"loss_obj": {"type": "SoftmaxFocalLoss"}}, "SoftmaxFocalLoss is no loss of binary predictions"),
        ({"loss_obj": {"type": "L1Loss"}}, "model.loss_obj: L1Loss does not derive from ClassificationLoss"),
    ],
)
def test_wrong_objectness(changes, message):
    with pytest.raises(ConfigError, match=message):
        build(**{**YOLOX, **changes})


def test_a_prior_has_its_best_class_alone():
    logits = torch.tensor([[[2.0, 1.0, -9.0], [0.5, 3.0, 2.9], [-9.0, -9.0, -8.0]]])
    quality = torch.tensor([[1.0, -1.0, 9.0]])
    priors = torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8], [16, 0, 24, 8]])
    predictions = DensePredictions(logits, torch.zeros(1, 3, 4), [(1, 3)], quality)
    options = {"score_thr": 0.001, "quality_score": "product", "clip": False}
    for device_rule in (True, False):
        postprocess = NMSPostprocess(best_class_only=True, **options)
        if not device_rule:
            postprocess._is_host = lambda tensor: False
        (found,) = postprocess(predictions, priors, DeltaXYWHBBoxCoder(), [(8, 24)])
        assert found.labels.tolist() == [0, 1]
        score = (logits.sigmoid() * quality.sigmoid()[..., None]).amax(dim=2)[0, :2]
        torch.testing.assert_close(found.scores, score)
    (found,) = NMSPostprocess(**options)(predictions, priors, DeltaXYWHBBoxCoder(), [(8, 24)])
    assert len(found) == 5
