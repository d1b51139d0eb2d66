"""Losses on decoded boxes, by hand, against torchvision, and where boxes degenerate."""

import itertools
import math

import pytest
import torch
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from rdet.models.losses.iou_loss import CIoULoss, DIoULoss, EIoULoss, GIoULoss, IoULoss
from rdet.structures.boxes import iou_and_union, paired_iou

LOSSES = {
    "log": IoULoss(),
    "linear": IoULoss(mode="linear"),
    "giou": GIoULoss(),
    "diou": DIoULoss(),
    "ciou": CIoULoss(),
    "eiou": EIoULoss(),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
V = 4 / math.pi**2 * (math.atan(2) - math.atan(1 / 2)) ** 2
ALPHA = V / (2 / 3 + V)


@pytest.mark.parametrize(
    ("predicted", "box", "expected"),
    [
        # two squares of side 2, IoU 1/7, in a square of side 3; centres sqrt(2) apart
        (
            [0, 0, 2, 2],
            [1, 1, 3, 3],
            [math.log(7), 6 / 7, 6 / 7 + 2 / 9, 6 / 7 + 2 / 18, 6 / 7 + 2 / 18, 6 / 7 + 2 / 18],
        ),
        # 4 x 2 and 2 x 4 with a common corner, IoU 4/12, in a square of side 4
        (
            [0, 0, 4, 2],
            [0, 0, 2, 4],
            [
                math.log(3),
                2 / 3,
                2 / 3 + 4 / 16,
                2 / 3 + 2 / 32,
                2 / 3 + 2 / 32 + ALPHA * V,
                2 / 3 + 2 / 32 + 2 * 4 / 16,
            ],
        ),
        # unit squares 3 apart: no overlap, enclosed by 4 x 1
        ([0, 0, 1, 1], [3, 0, 4, 1], [math.log(1e6), 1, 1 + 2 / 4, 1 + 9 / 17, 1 + 9 / 17, 1 + 9 / 17]),
        # a unit square at the centre of one of side 3: same centre and shape
        ([1, 1, 2, 2], [0, 0, 3, 3], [math.log(9), 8 / 9, 8 / 9, 8 / 9, 8 / 9, 8 / 9 + 2 * 4 / 9]),
    ],
)
def test_values(predicted, box, expected):
    predicted, box = torch.tensor([predicted], dtype=torch.float32), torch.tensor([box], dtype=torch.float32)
    for (name, loss), value in zip(LOSSES.items(), expected, strict=True):
        assert loss(predicted=predicted, boxes=box).tolist() == pytest.approx([value], rel=1e-6), name


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 60
    return torch.cat([corners, corners + 1 + torch.rand(count, 2, generator=generator, dtype=torch.float64) * 60], 1)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("giou", generalized_box_iou_loss),
        ("diou", distance_box_iou_loss),
        ("ciou", complete_box_iou_loss),
    ],
)
def test_value_and_gradient_of_torchvision(name, reference):
    predicted, boxes = random_boxes(300, 1).requires_grad_(), random_boxes(300, 2)
    found, expected = LOSSES[name](predicted, boxes), reference(predicted, boxes)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    gradients = (torch.autograd.grad(value.sum(), predicted)[0] for value in (found, expected))
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-8)


@every_loss
def test_equal_boxes_cost_nothing(name):
    boxes = random_boxes(50, 3).float()
    assert LOSSES[name](boxes, boxes.clone()).abs().max() == 0


@every_loss
def test_laws(name):
    """Symmetric; the same for boxes moved, scaled or transposed together."""
    loss, first, second = LOSSES[name], random_boxes(200, 4), random_boxes(200, 5)
    expected = loss(first, second)
    assert (expected > 0).all()
    for change in (lambda x: x * 3.7, lambda x: x + 1000, lambda x: x[:, [1, 0, 3, 2]]):
        torch.testing.assert_close(loss(change(first), change(second)), expected)
    torch.testing.assert_close(loss(second, first), expected)


@pytest.mark.parametrize("name", ["giou", "diou"])
def test_between_0_and_2(name):
    near = LOSSES[name](random_boxes(500, 6), random_boxes(500, 7))
    far = LOSSES[name](random_boxes(500, 6), random_boxes(500, 7) + 1e6)
    assert near.min() >= 0
    assert near.max() <= 2
    assert far.min() > 1.99
    assert far.max() <= 2


@every_loss
def test_boxes_apart(name):
    """All but the plain IoU pull a box to the right that lies at the left, and not up or down."""
    predicted = torch.tensor([[0.0, 0, 10, 10]], requires_grad=True)
    LOSSES[name](predicted, torch.tensor([[30.0, 0, 40, 10]])).sum().backward()
    x1, y1, x2, y2 = predicted.grad[0].tolist()
    if name in ("log", "linear"):
        assert not predicted.grad.any()
    else:
        assert x1 + x2 < 0
        assert y1 + y2 == pytest.approx(0, abs=1e-7)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_corners_are_finite(name, dtype):
    """Without area, with corners in the wrong order, apart, equal, and huge."""
    kinds = [list(c) for c in itertools.product([-80.0, 0.0, 1e-9, 80.0], repeat=4)]
    kinds += [[0.0, 0, 1e4, 1e4], [0, 0, 1e-22, 2e-22]]
    predicted = torch.tensor(kinds, dtype=dtype)
    boxes = torch.tensor([[0.0, 0, 80, 80], [5, 5, 5, 5], [0, 0, 0, 80], [-80, 0, 80, 1e-9]], dtype=dtype)
    predicted = predicted.repeat_interleave(len(boxes), dim=0).requires_grad_()
    loss = LOSSES[name](predicted, boxes.repeat(len(kinds), 1))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert loss.min() >= 0
    assert predicted.grad.isfinite().all()


def test_alpha_of_the_complete_iou_is_a_constant_of_the_gradient():
    predicted = torch.tensor([[0.0, 0, 4, 2]], dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.0, 0, 2, 4]], dtype=torch.float64)
    (found,) = torch.autograd.grad((CIoULoss()(predicted, boxes) - DIoULoss()(predicted, boxes)).sum(), predicted)
    # dv/dw = 8 / pi^2 (arctan 2 - arctan 1/2) h / (w^2 + h^2); right and left edge move w.
    slope = ALPHA * 8 / math.pi**2 * (math.atan(2) - math.atan(1 / 2)) / 20
    assert found[0].tolist() == pytest.approx([-2 * slope, 4 * slope, 2 * slope, -4 * slope])


def test_iou_is_that_of_the_structures():
    first, second = random_boxes(300, 8), random_boxes(300, 9)
    torch.testing.assert_close(iou_and_union(first, second)[0], paired_iou(first, second))


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'cubic'; valid: 'log', 'linear'"):
        IoULoss(mode="cubic")
