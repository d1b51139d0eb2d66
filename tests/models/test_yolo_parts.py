"""Coder, losses and assigners of YOLOv2 and YOLOv3; tests/interop/test_yolov3_live.py has MMDetection beside them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from rdet.errors import ConfigError
from rdet.models.assigners.best_anchor_assigner import BestAnchorAssigner
from rdet.models.assigners.grid_assigner import GridAssigner
from rdet.models.coders.yolo_bbox_coder import YOLOBBoxCoder
from rdet.models.losses.cell_box_loss import CellBoxLoss
from rdet.models.losses.image_normalizers import ImageCountNormalizer, SumNormalizer
from rdet.models.losses.positive_softmax_loss import PositiveSoftmaxLoss
from rdet.models.losses.squared_cell_box_loss import SquaredCellBoxLoss
from rdet.models.losses.squared_object_loss import SquaredObjectLoss
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_iou

SIZES = [[(10, 13), (16, 30)], [(30, 61), (62, 45)]]


def randn(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_a_box_is_encoded_within_the_cell_of_its_prior():
    generator = FittedAnchorGenerator([8, 16], SIZES, center_offset=0.5)
    priors, coder = generator([(4, 5), (2, 3)]), YOLOBBoxCoder([8, 16], SIZES)
    strides = torch.tensor([8.0] * 40 + [16.0] * 12)[:, None]
    assert torch.equal(coder.stride_of(priors[:, 2:] - priors[:, :2]), strides)
    deltas = randn(52, 4, seed=2)
    boxes = coder.decode(priors, deltas)
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    corner = (priors[:, :2] + priors[:, 2:]) / 2 - strides / 2
    torch.testing.assert_close(center, corner + deltas[:, :2].sigmoid() * strides)
    torch.testing.assert_close(size, (priors[:, 2:] - priors[:, :2]) * deltas[:, 2:].exp())
    torch.testing.assert_close(coder.encode(priors, boxes), deltas, rtol=1e-4, atol=1e-4)
    far = coder.encode(priors, boxes + 100)  # a place outside of the cell is that at its border
    torch.testing.assert_close(far[:, :2].sigmoid(), torch.ones(52, 2))
    assert far.isfinite().all()
    assert coder.decode(priors, torch.full((52, 4), 1e4)).isfinite().all()
    assert coder.encode(priors, boxes[:, :2].repeat(1, 2)).isfinite().all()
    with pytest.raises(ConfigError, match=r"those of strides 8 and 16 both have \(5, 5\); make the sizes differ"):
        YOLOBBoxCoder([8, 16], [[(5, 5)], [(5, 5)]])
    YOLOBBoxCoder([8, 16], [[(5, 5)], [(6, 5)]])


@pytest.mark.parametrize("loss", [CellBoxLoss(2.0, 3.0), SquaredCellBoxLoss(0.7)])
def test_losses_of_boxes(loss):
    deltas, target = (randn(6, 4, seed=seed, dtype=torch.double) for seed in (1, 2))
    assert gradcheck(loss, (deltas.requires_grad_(), target))
    (slope,) = torch.autograd.grad(loss(target.requires_grad_(), target.detach()).sum(), target)
    assert slope.abs().max() < 1e-12  # least at the target
    squares = (deltas[:, 2:] - target[:, 2:]).square().sum(dim=1)
    places = deltas[:, :2].sigmoid(), target[:, :2].sigmoid()
    if isinstance(loss, CellBoxLoss):
        expected = 2 * F.binary_cross_entropy(*places, reduction="none").sum(dim=1) + 3 * squares
    else:
        expected = 0.35 * ((places[0] - places[1]).square().sum(dim=1) + squares)
    torch.testing.assert_close(loss(deltas, target), expected)
    assert loss(deltas.half(), target.half()).dtype == torch.float32


def test_losses_of_objects_and_classes():
    logits, labels = randn(5, 1, dtype=torch.double), torch.tensor([0, BACKGROUND, IGNORE, 0, BACKGROUND])
    quality = torch.tensor([0.3, 0, 0, 0.9, 0], dtype=torch.double)
    loss = SquaredObjectLoss(5.0, 0.5)
    assert gradcheck(lambda x: loss(x, labels, quality), (logits.requires_grad_(),))
    p = logits[:, 0].sigmoid()
    expected = torch.stack([2.5 * (p[0] - 0.3) ** 2, p[1] ** 2 / 4, 0 * p[2], 2.5 * (p[3] - 0.9) ** 2, p[4] ** 2 / 4])
    torch.testing.assert_close(loss(logits, labels, quality), expected)

    classes, logits = PositiveSoftmaxLoss(2.0), randn(5, 4, dtype=torch.double)
    labels = torch.tensor([0, 3, 1, 1, 2])
    assert gradcheck(lambda x: classes(x, labels), (logits.requires_grad_(),))
    torch.testing.assert_close(classes(logits, labels), 2 * F.cross_entropy(logits, labels, reduction="none"))
    torch.testing.assert_close(classes.binary_logits(logits).sigmoid(), logits.softmax(dim=-1))
    assert classes.binary_logits(torch.tensor([[200.0, 0.0]])).isfinite().all()


def test_divisors_do_not_count_positives():
    num_pos = torch.tensor([3, 0, 9])
    assert ImageCountNormalizer()(num_pos).tolist() == ImageCountNormalizer().of_mass(num_pos / 2).tolist() == [3.0] * 3
    assert SumNormalizer()(num_pos).tolist() == [1.0] * 3


def priors_of(cells=((4, 4), (2, 2))):
    generator = FittedAnchorGenerator([8, 16], SIZES, center_offset=0.5)
    lengths = [height * width * 2 for height, width in cells]
    return generator(list(cells)), lengths


def test_best_anchor_of_the_cell():
    priors, lengths = priors_of()
    boxes = torch.tensor([[5.0, 4, 17, 18], [0, 0, 32, 60], [6, 5, 16, 19]])  # centres (11, 11), (16, 30), (11, 12)
    nowhere = priors.clone()
    nowhere += 1000
    found = BestAnchorAssigner([8, 16])(priors, boxes, nowhere, lengths)
    # Row 1, column 1 of the first level; row 1, column 1 of the second. The last of two boxes gets the prior.
    expected = torch.full((40,), BACKGROUND)
    expected[(1 * 4 + 1) * 2] = 2
    expected[32 + (1 * 2 + 1) * 2] = 1
    assert torch.equal(found, expected)
    predicted = nowhere.clone()
    predicted[:3] = torch.tensor([[5.0, 4, 17, 18], [5, 4, 17, 29], [5, 4, 17, 27]])  # IoU 1, 0.56, 0.61
    found = BestAnchorAssigner([8, 16])(priors, boxes[:1], predicted, lengths)
    assert found[:3].tolist() == [IGNORE, BACKGROUND, IGNORE]
    assert BestAnchorAssigner([8, 16])(priors, boxes[:0], predicted, lengths).eq(BACKGROUND).all()


def test_grid_assigner_by_hand():
    priors, lengths = priors_of()
    center = (priors[:, :2] + priors[:, 2:]) / 2
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        corner = torch.rand(4, 2, generator=generator) * 24
        boxes = torch.cat([corner, corner + 4 + torch.rand(4, 2, generator=generator) * 30], dim=1)
        boxes[:, 2:] = boxes[:, 2:].clamp(max=32) + 0.001
        strides = [8] * 32 + [16] * 8
        iou = [[overlap(box, prior) for prior in priors] for box in boxes]
        responsible = [
            any(
                all(math.floor((box[i] + box[i + 2]) / 2 / s) == math.floor(center[p, i] / s) for i in (0, 1))
                for box in boxes
            )
            for p, s in enumerate(strides)
        ]
        expected = []
        for p in range(40):
            column = [row[p] for row in iou]
            label = BACKGROUND if max(column) <= 0.4 else IGNORE
            if responsible[p] and max(column) > 0.5:
                label = column.index(max(column))
            for g, row in enumerate(iou):
                best = max(value for q, value in enumerate(row) if responsible[q])
                label = g if responsible[p] and row[p] == best > 0 else label
            expected.append(label)
        found = GridAssigner([8, 16], neg_iou_thr=0.4, chunk_size=3)(priors, boxes, lengths)
        assert found.tolist() == expected


def overlap(box, prior):
    """IoU, in the arithmetic of the assigner."""
    return paired_iou(box, prior).item()
