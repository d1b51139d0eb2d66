"""NMS, DIoU-NMS and Soft-NMS against a plain reading of their papers."""

import math

import pytest
import torch
from made_predictions import build, crowd
from plain_suppression import CHANGES, naive_greedy
from torchvision.ops import batched_nms

from rdet.models.postprocess.greedy import take_best_first


@pytest.mark.parametrize(
    ("name", "options", "change"),
    [
        ("NMSPostprocess", {}, "nms"),
        ("DIoUNMSPostprocess", {"iou_threshold": 0.4}, "diou"),
        ("SoftNMSPostprocess", {"min_score": 0.0}, "linear"),
        ("SoftNMSPostprocess", {"min_score": 0.2}, "linear"),
        ("SoftNMSPostprocess", {"method": "gaussian", "min_score": 0.2}, "gaussian"),
    ],
)
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_ones_equal_the_naive_reference(name, options, change, class_agnostic, seed):
    boxes, scores, labels = crowd(120, seed=seed)
    groups = [0] * 120 if class_agnostic else labels.tolist()
    expected = naive_greedy(boxes.tolist(), scores.tolist(), groups, CHANGES[change])
    expected = [entry for entry in expected if entry[1] >= options.get("min_score", 0)]
    postprocess = build(name, max_per_img=1000, class_agnostic=class_agnostic, **options)
    found = postprocess.suppress(boxes, scores, labels)
    index = [i for i, _ in expected]
    assert len(index) > 3
    assert len(index) < 120 or options.get("min_score") == 0
    assert torch.equal(found[0], boxes[index])
    torch.testing.assert_close(found[1], torch.tensor([score for _, score in expected]))
    assert torch.equal(found[2], labels[index])


def test_soft_nms_hand_computed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 2]])  # IoU with the first: 0.8 and 0.2
    scores, labels = torch.tensor([0.9, 0.8, 0.5]), torch.zeros(3, dtype=torch.int64)
    found = build("SoftNMSPostprocess", iou_threshold=0.3).suppress(boxes, scores, labels)
    assert found[1].tolist() == pytest.approx([0.9, 0.5, 0.8 * 0.2])
    assert torch.equal(found[0], boxes[[0, 2, 1]])
    found = build("SoftNMSPostprocess", method="gaussian", sigma=0.5).suppress(boxes, scores, labels)
    third = 0.5 * math.exp(-0.04 / 0.5)  # is taken second; its IoU with the one left is 0.25
    assert found[1].tolist() == pytest.approx([0.9, third, 0.8 * math.exp(-0.64 / 0.5) * math.exp(-0.0625 / 0.5)])
    found = build("SoftNMSPostprocess", min_score=0.2).suppress(boxes, scores, labels)
    assert found[1].tolist() == pytest.approx([0.9, 0.5])


def test_soft_nms_with_a_huge_sigma_suppresses_nothing():
    boxes, scores, labels = crowd(80)
    found = build("SoftNMSPostprocess", method="gaussian", sigma=1e12).suppress(boxes, scores, labels)
    order = scores.argsort(descending=True)
    for value, expected in zip(found, (boxes, scores, labels), strict=True):
        torch.testing.assert_close(value, expected[order])


@pytest.mark.parametrize("options", [{"method": "gaussian", "sigma": 1e-6}, {"method": "linear"}])
def test_soft_nms_takes_no_box_twice(options):
    """Copies fall to a score of exactly 0, which min_score=0 keeps."""
    boxes, scores = torch.tensor([[0.0, 0, 10, 10]] * 5), torch.tensor([0.5, 0.4, 0.3, 0.2, 0.0])
    found = build("SoftNMSPostprocess", min_score=0.0, **options).suppress(boxes, scores, torch.arange(5) // 5)
    assert found[1].tolist() == [0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cubic"}, "no method 'cubic'; valid: linear, gaussian"),
        ({"sigma": 0.5}, "sigma is not read by method='linear'; leave it out"),
        ({"method": "gaussian", "iou_threshold": 0.3}, "iou_threshold is not read by method='gaussian'; leave it out"),
        ({"method": "gaussian", "sigma": 0.0}, "sigma is 0.0; it must be a number above 0"),
    ],
)
def test_soft_nms_says_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        build("SoftNMSPostprocess", **options)


def test_diou_nms_equals_nms_for_concentric_boxes():
    generator = torch.Generator().manual_seed(0)
    half = torch.rand(100, 2, generator=generator) * 40 + 5
    boxes = torch.cat([50 - half, 50 + half], dim=1)
    scores, labels = torch.rand(100, generator=generator), torch.randint(3, (100,), generator=generator)
    index = batched_nms(boxes, scores, labels, 0.6)
    found = build("DIoUNMSPostprocess", iou_threshold=0.6).suppress(boxes, scores, labels)
    assert 3 < len(index) < 60
    assert torch.equal(found[0], boxes[index])
    assert torch.equal(found[1], scores[index])
    assert torch.equal(found[2], labels[index])


@pytest.mark.parametrize(
    ("other", "diou"),
    [
        ([0.0, 0, 10, 6], 0.6 - 4 / 200),  # centres 2 apart, 10 x 10 around both
        ([2.0, 0, 12, 10], 80 / 120 - 4 / 244),  # centres 2 apart, 12 x 10 around both
    ],
)
def test_diou_nms_hand_computed(other, diou):
    boxes = torch.tensor([[0.0, 0, 10, 10], other])
    for threshold, count in ((diou + 0.001, 2), (diou - 0.001, 1)):
        postprocess = build("DIoUNMSPostprocess", iou_threshold=threshold)
        assert len(postprocess.suppress(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 0]))[0]) == count


def test_greedy_loop_takes_what_was_asked():
    boxes, scores, labels = crowd(50)
    index, values = take_best_first(boxes, scores, labels, lambda box, boxes, scores: scores, 4)
    assert torch.equal(values, scores.topk(4).values)
    assert torch.equal(index, scores.topk(4).indices)
    index, values = take_best_first(boxes[:0], scores[:0], labels[:0], lambda box, boxes, scores: scores, 4)
    assert (index.dtype, index.shape, values.shape) == (torch.int64, (0,), (0,))
