"""Backbones, necks, heads and detections of YOLOv2 and YOLOv3."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from rdet.analysis.operations import operations_at
from rdet.config import load_config
from rdet.errors import ConfigError
from rdet.models.backbones.darknet19 import Darknet19
from rdet.models.backbones.darknet53 import Darknet53
from rdet.models.coders.yolo_bbox_coder import YOLOBBoxCoder
from rdet.models.dense_heads.yolo_head import YOLOHead
from rdet.models.necks.passthrough_neck import PassthroughNeck
from rdet.models.necks.yolov3_neck import YOLOv3Neck
from rdet.models.postprocess.yolo_postprocess import YOLOPostprocess
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator
from rdet.structures import DensePredictions


def randn(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("network", "convs", "parameters"), [(Darknet19, 18, 19_817_376), (Darknet53, 52, 40_584_928)])
def test_the_darknets(network, convs, parameters):
    """The papers count the classifier's convolution, or layer, too: 19 and 53. Strides are rounded up."""
    with torch.device("meta"):
        backbone = network(out_indices=(0, 1, 2, 3))
    assert sum(isinstance(module, nn.Conv2d) for module in backbone.modules()) == convs
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    maps = backbone(torch.zeros(1, 3, 65, 96, device="meta"))
    expected = [(128, 17, 24), (256, 9, 12), (512, 5, 6), (1024, 3, 3)]
    assert [tuple(x.shape[1:]) for x in maps] == expected
    assert (backbone.out_channels, backbone.strides) == ([c for c, *_ in expected], [4, 8, 16, 32])
    with pytest.raises(ValueError, match=r"out_indices is \(1, 1\); name some of the stages 0 to 3, each once"):
        network(out_indices=(1, 1))


@pytest.mark.parametrize("sizes", [((16, 32), (8, 16), (4, 8)), ((13, 9), (7, 5), (4, 3)), ((1, 1),) * 3])
def test_a_level_sees_its_own_map_and_those_above(sizes):
    torch.manual_seed(0)
    neck = YOLOv3Neck([4, 6, 8], [8, 16, 32], [3, 5, 7]).eval().double()  # what comes from far above is tiny
    maps = [randn(2, c, *size, dtype=torch.float64) for c, size in zip((4, 6, 8), sizes, strict=True)]
    before = neck(maps)
    assert [tuple(x.shape) for x in before] == [(2, c, *size) for c, size in zip((3, 5, 7), sizes, strict=True)]
    assert (neck.out_channels, neck.strides) == ([3, 5, 7], [8, 16, 32])
    for i in range(3):
        after = neck([2 * x.abs() if j == i else x for j, x in enumerate(maps)])
        changed = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
        assert changed == [level <= i for level in range(3)]
    with pytest.raises(ValueError, match=r"neck.out_channels is \[3\], but the backbone gives 3 maps"):
        YOLOv3Neck([4, 6, 8], [8, 16, 32], [3])


@pytest.mark.parametrize(("fine", "coarse"), [((8, 6), (4, 3)), ((7, 5), (4, 3)), ((1, 1), (1, 1))])
def test_the_finer_map_passes_through(fine, coarse):
    """Four of its cells become one, and none is lost; those of a cell stand in turns, as torch has them."""
    neck = PassthroughNeck([4, 6], [16, 32], channels=5, num_convs=1, passthrough_channels=4).eval()
    neck.passthrough = nn.Identity()
    x = randn(1, 4, *fine)
    (level,) = neck([x, randn(1, 6, *coarse)])
    assert tuple(level.shape[1:]) == (16 + 5, *coarse)
    assert torch.equal(level[:, 0:16:4], x[..., 0::2, 0::2])
    assert level[:, :16].abs().sum().item() == pytest.approx(float(x.abs().sum()), rel=1e-5)
    assert (neck.out_channels, neck.strides) == ([21], [32])
    with pytest.raises(ValueError, match=r"the backbone gives strides \[8, 32\]: set its out_indices"):
        PassthroughNeck([4, 6], [8, 32])


def test_the_head_gives_each_prior_its_box_object_and_classes():
    torch.manual_seed(0)
    head = YOLOHead([4, 6], 3, num_priors=[2, 1], object_prob=[0.01, 0.2])
    levels = [randn(2, 4, 3, 5), randn(2, 6, 2, 2)]
    predictions = head(levels)
    assert predictions.level_lengths == [30, 4]
    assert (predictions.logits.shape, predictions.deltas.shape) == ((2, 34, 3), (2, 34, 4))
    assert predictions.quality_logits.sigmoid()[:, :30].mean().item() == pytest.approx(0.01, rel=0.1)
    assert predictions.quality_logits.sigmoid()[:, 30:].mean().item() == pytest.approx(0.2, rel=0.1)
    assert predictions.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)
    assert YOLOHead([4, 6], 3, 2, with_quality=False)(levels).quality_logits is None
    with pytest.raises(ValueError, match="bbox_head.object_prob has 3 numbers, but there are 2 levels"):
        YOLOHead([4, 6], 3, 2, object_prob=[0.1, 0.1, 0.1])


def test_detections_of_all_levels_where_there_may_be_an_object():
    coder = YOLOBBoxCoder([8, 16], [[(6, 6)], [(7, 7)]])
    priors = FittedAnchorGenerator([8, 16], [[(6, 6)], [(7, 7)]], center_offset=0.5)([(1, 3), (1, 1)])
    logits = torch.tensor([[[2.0, 1.0], [0.5, -9.0], [3.0, 3.0], [-1.0, 4.0]]])
    quality = torch.tensor([[1.0, 2.0, -6.0, 0.0]])  # the third has 0.0025
    predictions = DensePredictions(logits, torch.zeros(1, 4, 4), [(1, 3), (1, 1)], quality)
    options = {"score_thr": 0.05, "quality_score": "product", "rank_by": "class_score", "iou_threshold": 1.0}
    for most, expected in ((1000, [1, 0, 0, 1, 0]), (3, [1, 0, 1])):  # ranked by class, then by score
        for on_host in (True, False):
            postprocess = YOLOPostprocess(object_thr=0.005, topk_per_level=most, **options)
            if not on_host:
                postprocess._is_host = lambda tensor: False
            (found,) = postprocess(predictions, priors, coder, [(16, 24)])
            scores = logits.sigmoid() * quality.sigmoid()[..., None]
            kept = [scores[0, 0, 0], scores[0, 0, 1], scores[0, 1, 0], scores[0, 3, 0], scores[0, 3, 1]]
            kept = sorted(map(float, kept), reverse=True)
            assert len(found) == len(expected)
            if most == 1000:
                torch.testing.assert_close(found.scores, torch.tensor(kept))
    with pytest.raises(ConfigError, match="postprocess.object_thr needs a score_thr above 0"):
        YOLOPostprocess(score_thr=0.0)


@pytest.mark.parametrize(
    ("name", "side", "operations"), [("yolov3/yolov3_d53_416", 416, 65.86), ("yolov2/yolov2_d19_544", 608, 62.94)]
)
def test_whole_networks_have_darknets_operations(name, side, operations):
    """Thousand million, an addition and a product being two, as darknet's site lists them."""
    path = Path(__file__).parents[2] / f"configs/{name}_coco.py"
    found = str(operations_at(load_config(path, {"model.num_classes": 80}), (side, side)))
    assert float(re.search(r"operations: ([\d.]+) GFLOPs", found)[1]) == pytest.approx(operations, abs=0.006)
