"""The losses of whole detectors with the parts of YOLOv2 and YOLOv3."""

import pytest
import torch
import torch.nn.functional as F
from small_detector import EMPTY, ONE, SIZE, TWO, build, match

from rdet.errors import ConfigError
from rdet.models.coders.yolo_bbox_coder import YOLOBBoxCoder
from rdet.models.dense_heads.yolov2_head import YOLOv2Head
from rdet.models.losses.cell_box_loss import CellBoxLoss
from rdet.models.losses.squared_cell_box_loss import SquaredCellBoxLoss
from rdet.models.losses.squared_object_loss import SquaredObjectLoss
from rdet.structures.assignment import IGNORE
from rdet.structures.boxes import paired_iou

ANCHORS = {"type": "FittedAnchorGenerator", "sizes": [[(12, 12)], [(24, 20)], [(60, 50)]], "center_offset": 0.5}
YOLO = {
    "type": "OneStageDetector",
    "neck": {"type": "YOLOv3Neck", "out_channels": [8, 8, 16]},
    "bbox_head": {"type": "YOLOHead"},
    "anchor_generator": ANCHORS,
    "bbox_coder": {"type": "YOLOBBoxCoder"},
}
V3 = {
    **YOLO,
    "assigner": {"type": "GridAssigner"},
    "loss_cls": {"type": "PositiveCrossEntropyLoss"},
    "quality": {"type": "UnitQuality"},
    "loss_bbox": {"type": "CellBoxLoss", "center_weight": 2.0, "size_weight": 3.0},
    "loss_obj": {"type": "CrossEntropyLoss"},
    "normalizer": {"type": "SumNormalizer"},
}
V2 = {
    **YOLO,
    "bbox_head": {"type": "YOLOv2Head", "first_iters": 2},
    "assigner": {"type": "BestAnchorAssigner"},
    "loss_cls": {"type": "PositiveSoftmaxLoss"},
    "loss_bbox": {"type": "SquaredCellBoxLoss"},
    "loss_obj": {"type": "SquaredObjectLoss"},
    "normalizer": {"type": "ImageCountNormalizer"},
}


def randn(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("kind", ["v3", "v2"])
def test_losses_of_the_detector(kind):
    model = build(**(V3 if kind == "v3" else V2)).train()
    samples = [TWO, EMPTY, ONE]
    predictions = model(randn(3, 3, *SIZE))
    priors = model.anchor_generator(predictions.level_sizes)
    matches, labels = match(model, predictions, priors, samples)
    at = matches.image, matches.prior
    boxes = torch.cat([each.gt_instances.bboxes for each in samples])[matches.gt_index]
    target = model.bbox_coder.encode(priors[matches.prior], boxes)
    quality, of_objects = predictions.quality_logits, labels.clamp(max=0)
    found = model.loss(predictions, priors, samples)
    assert set(found) == {"loss_cls", "loss_bbox", "loss_obj"}
    assert len(matches.prior) >= 3
    if kind == "v3":
        bce = F.binary_cross_entropy_with_logits
        expected = {
            "loss_cls": bce(predictions.logits[at], F.one_hot(labels[at], 3).float(), reduction="sum"),
            "loss_obj": bce(quality, (labels >= 0).float(), (labels != IGNORE).float(), reduction="sum"),
            "loss_bbox": CellBoxLoss(2.0, 3.0)(predictions.deltas[at], target).sum(),
        }
    else:
        share = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (SIZE[0] * SIZE[1])
        decoded = model.bbox_coder.decode(priors[matches.prior], predictions.deltas[at])
        iou = torch.zeros_like(quality)
        iou[at] = torch.stack([torch.tensor(overlap(*pair)) for pair in zip(decoded, boxes, strict=True)])
        of_boxes = SquaredCellBoxLoss()(predictions.deltas[at], target) * (2 - share)
        expected = {
            "loss_cls": F.cross_entropy(predictions.logits[at], labels[at], reduction="sum") / 3,
            "loss_obj": SquaredObjectLoss()(quality[..., None], of_objects, iou).sum() / 3,
            "loss_bbox": of_boxes.sum() / 3,
        }
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_boxes_without_an_object_are_held_at_their_priors_at_first():
    model = build(**V2).train()
    predictions = model(randn(2, 3, *SIZE))
    priors, samples = model.anchor_generator(predictions.level_sizes), [TWO, ONE]
    _, labels = match(model, predictions, priors, samples)
    model.bbox_head.set_iteration(1, seed=0)
    found = model.loss(predictions, priors, samples)["loss_prior"]
    numbers = torch.cat([predictions.deltas[..., :2].sigmoid() - 0.5, predictions.deltas[..., 2:]], dim=-1)
    torch.testing.assert_close(found, 0.005 * numbers[labels < 0].square().sum() / 2)
    model.bbox_head.set_iteration(2, seed=0)
    assert "loss_prior" not in model.loss(predictions, priors, samples)
    model.bbox_head.set_iteration(0, seed=0)
    assert "loss_prior" not in model.eval().loss(predictions, priors, samples)


def test_the_head_of_yolov2_predicts_cells_alone():
    assert YOLOv2Head.encoding == YOLOBBoxCoder.encoding
    with pytest.raises(ConfigError, match="YOLOv2Head predicts cells, but DeltaXYWHBBoxCoder decodes deltas"):
        build(**{**V2, "bbox_coder": {"type": "DeltaXYWHBBoxCoder"}, "loss_bbox": {"type": "GIoULoss"}})
    with pytest.raises(ConfigError, match="compares cells, but DeltaXYWHBBoxCoder encodes deltas"):
        build(**{**V3, "bbox_coder": {"type": "DeltaXYWHBBoxCoder"}, "loss_bbox": {"type": "CellBoxLoss"}})


def overlap(box, prior):
    """IoU, in the arithmetic of the assigner."""
    return paired_iou(box, prior).item()
