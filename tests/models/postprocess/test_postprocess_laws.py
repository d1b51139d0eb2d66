"""Laws of every postprocess."""

import pytest
import torch
from made_predictions import CASES, CODER, EACH, NAMES, build, crowd, predictions_of

from rdet.structures import DensePredictions


def test_every_postprocess_has_a_case():
    assert set(CASES) == set(NAMES)


@EACH
@pytest.mark.parametrize("with_quality", [False, True])
def test_nothing_found(name, options, with_quality):
    predictions, priors = predictions_of(shift=-90.0, with_quality=with_quality)
    results = build(name, **options)(predictions, priors, CODER, [(64, 96)] * 2)
    assert len(results) == 2
    for found in results:
        assert found.bboxes.shape == (0, 4)
        assert found.scores.shape == found.labels.shape == (0,)
        assert (found.bboxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
        assert found.labels.dtype == torch.int64


@EACH
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("score_thr", [0.0, 0.3])
@pytest.mark.parametrize("with_quality", [False, True])
def test_laws(name, options, class_agnostic, score_thr, with_quality):
    predictions, priors = predictions_of(with_quality=with_quality)
    sizes = [(64, 96), (50, 70)]
    options = {"max_per_img": 30, "score_thr": score_thr, "class_agnostic": class_agnostic, **options}
    results = build(name, **options)(predictions, priors, CODER, sizes)
    for index, (found, (height, width)) in enumerate(zip(results, sizes, strict=True)):
        assert 0 < len(found) <= 30
        assert score_thr > 0 or len(found) == 30
        assert (found.bboxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
        assert found.labels.dtype == torch.int64
        assert torch.equal(found.scores, found.scores.sort(descending=True).values)
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height, width, height])).all()
        # No class is invented, nor a score above the best of its class.
        scores = predictions.logits[index].sigmoid()
        if with_quality:
            scores = (scores * predictions.quality_logits[index].sigmoid()[:, None]).sqrt()
        assert (found.scores <= scores.max(dim=0).values[found.labels] + 1e-6).all()
        assert score_thr == 0 or (scores > score_thr).any(dim=0)[found.labels].all()


@EACH
def test_images_do_not_mix(name, options):
    predictions, priors = predictions_of(with_quality=True)
    postprocess = build(name, **options)
    sizes = [(64, 96), (50, 70)]
    together = postprocess(predictions, priors, CODER, sizes)
    for index, size in enumerate(sizes):
        logits, deltas, level_sizes, quality = predictions[:4]
        part = slice(index, index + 1)
        one = DensePredictions(logits[part], deltas[part], level_sizes, quality[part])
        (alone,) = postprocess(one, priors, CODER, [size])
        for key in ("bboxes", "scores", "labels"):
            assert torch.equal(alone[key], together[index][key])


@EACH
def test_cap_keeps_the_best(name, options):
    predictions, priors = predictions_of()
    few, many = (build(name, max_per_img=n, **options)(predictions, priors, CODER, [(64, 96)] * 2) for n in (7, 60))
    for a, b in zip(few, many, strict=True):
        assert len(a) == 7 < len(b)
        assert torch.equal(a.scores, b.scores[:7])
        assert torch.equal(a.bboxes, b.bboxes[:7])


@EACH
def test_boxes_far_apart_stay_as_they_are(name, options):
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 60, 10], [60, 0, 60, 10]])
    scores, labels = torch.tensor([0.2, 0.9, 0.5, 0.1, 0.05]), torch.tensor([1, 0, 1, 0, 0])  # the last have no area
    found = build(name, **options).suppress(boxes, scores, labels)
    order = scores.argsort(descending=True)
    for value, expected in zip(found, (boxes, scores, labels), strict=True):
        torch.testing.assert_close(value, expected[order])


@EACH
def test_classes_compete_only_if_agnostic(name, options):
    boxes, scores, labels = torch.tensor([[0.0, 0, 10, 10]] * 2), torch.tensor([0.6, 0.8]), torch.tensor([4, 2])
    apart = build(name, **options).suppress(boxes, scores, labels)
    assert torch.equal(apart[0], boxes)
    assert apart[1].tolist() == pytest.approx([0.8, 0.6])
    assert apart[2].tolist() == [2, 4]
    _, scores, labels = build(name, class_agnostic=True, **options).suppress(boxes, scores, labels)
    assert labels[0] == 2
    assert len(scores) == 1 or scores[1] < 0.6


@EACH
def test_order_of_the_candidates_does_not_matter(name, options):
    boxes, scores, labels = crowd(60)
    expected = build(name, **options).suppress(boxes, scores, labels)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    for value, other in zip(
        build(name, **options).suppress(boxes[order], scores[order], labels[order]), expected, strict=True
    ):
        torch.testing.assert_close(value, other)


@EACH
@pytest.mark.parametrize("score_thr", [-0.1, 1.0])
def test_impossible_threshold(name, options, score_thr):
    with pytest.raises(ValueError, match=rf"score_thr is {score_thr}; it must (lie in \[0, 1\)|be a number from)"):
        build(name, score_thr=score_thr, **options)


@EACH
@pytest.mark.parametrize(
    ("number", "message"),
    [
        ({"max_per_img": 0}, "max_per_img is 0; it must be a whole number of 1 or more"),
        ({"topk_per_level": 0}, "topk_per_level is 0; it must be a whole number of 1 or more"),
    ],
)
def test_impossible_numbers(name, options, number, message):
    with pytest.raises(ValueError, match=message):
        build(name, **{**options, **number})


@pytest.mark.parametrize("name", ["NMSPostprocess", "DIoUNMSPostprocess", "SoftNMSPostprocess", "WBFPostprocess"])
def test_iou_threshold_in_percent(name):
    with pytest.raises(ValueError, match="iou_threshold is 50; it must be a number from 0 to 1"):
        build(name, iou_threshold=50)


@pytest.mark.parametrize("name", NAMES)
def test_an_overlap_of_just_the_threshold_is_not_above_it(name):
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 2, 8, 6]])  # of one centre, so that DIoU is the IoU, 0.5
    scores = build(name, iou_threshold=0.5).suppress(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2).long())[1]
    assert scores.tolist() == pytest.approx([0.9, 0.8])
