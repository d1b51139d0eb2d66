"""Scores with a quality, by hand and as torchvision's FCOS has them."""

import math

import pytest
import torch
from made_predictions import CODER, build, cells
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchors
from torchvision.models.detection.fcos import FCOS, FCOSHead

from rdet.structures import DensePredictions


def test_quality_hand_computed():
    priors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    logits = torch.logit(torch.tensor([[[0.9, 0.1], [0.5, 0.3], [0.8, 0.04]]]))
    quality = torch.logit(torch.tensor([[0.1, 0.9, 0.5]]))
    predictions = DensePredictions(logits, torch.zeros(1, 3, 4), [(1, 3)], quality)
    (found,) = build("NMSPostprocess", score_thr=0.31)(predictions, priors, CODER, [(100, 100)])
    # Of (0.3, 0.1), (0.671, 0.520), (0.632, 0.141) those above 0.31.
    assert found.scores.tolist() == pytest.approx([math.sqrt(0.45), math.sqrt(0.4), math.sqrt(0.27)], rel=1e-5)
    assert found.labels.tolist() == [0, 0, 1]
    assert found.bboxes[:, 0].tolist() == [20, 40, 20]
    (found,) = build("NMSPostprocess", score_thr=0.0, topk_per_level=1)(predictions, priors, CODER, [(100, 100)])
    assert found.bboxes.tolist() == [[20, 0, 30, 10]]  # 0.9, the best class score, is not the best score


@pytest.mark.parametrize(("score_thr", "topk", "cap"), [(0.2, 1000, 100), (0.05, 40, 20), (0.6, 10, 100)])
def test_scores_with_quality_are_those_of_torchvision_fcos(score_thr, topk, cap):
    sizes, strides, num_classes = [(8, 12), (4, 6), (2, 3)], [8, 16, 32], 5
    generator = torch.Generator().manual_seed(0)
    lengths = [h * w for h, w in sizes]
    anchors = [cells(h, w, s) for (h, w), s in zip(sizes, strides, strict=True)]
    logits = torch.randn(2, sum(lengths), num_classes, generator=generator) * 2
    deltas = torch.rand(2, sum(lengths), 4, generator=generator)
    quality = torch.randn(2, sum(lengths), generator=generator)

    backbone = torch.nn.Conv2d(3, 32, 1)
    backbone.out_channels = 32
    fcos = FCOS(
        backbone,
        num_classes,
        anchor_generator=TorchvisionAnchors(((8,), (16,), (32,)), ((1.0,),) * 3),
        head=FCOSHead(32, 1, num_classes, num_convs=1),
        score_thresh=score_thr,
        topk_candidates=topk,
        nms_thresh=0.6,
        detections_per_img=cap,
    )

    class Coder:
        """torchvision's, called as rdet calls it."""

        def decode(self, priors, deltas):
            return fcos.box_coder.decode(deltas, priors)

    shapes = [(64, 96), (50, 70)]
    outputs = {"cls_logits": logits, "bbox_regression": deltas, "bbox_ctrness": quality[..., None]}
    expected = fcos.postprocess_detections(
        {key: list(value.split(lengths, dim=1)) for key, value in outputs.items()}, [anchors] * 2, shapes
    )
    postprocess = build("NMSPostprocess", score_thr=score_thr, topk_per_level=topk, iou_threshold=0.6, max_per_img=cap)
    results = postprocess(DensePredictions(logits, deltas, sizes, quality), torch.cat(anchors), Coder(), shapes)
    for found, other in zip(results, expected, strict=True):
        assert len(found) > 0
        assert torch.equal(found.bboxes, other["boxes"])
        assert torch.equal(found.scores, other["scores"])
        assert torch.equal(found.labels, other["labels"])
