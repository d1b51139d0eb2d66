import math

import pytest
import torch
from torchvision.ops import batched_nms, box_iou

from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.structures import DensePredictions

CODER = DeltaXYWHBBoxCoder()


def logit(p):
    return torch.logit(torch.tensor(p, dtype=torch.float64)).float()


def run(scores, priors, level_sizes=None, size=(1000, 1000), deltas=None, **options):
    """Detections of one image whose (A, K) ``scores`` are given."""
    scores = torch.as_tensor(scores, dtype=torch.float64)
    priors = torch.as_tensor(priors, dtype=torch.float32)
    deltas = torch.zeros(len(priors), 4) if deltas is None else deltas
    predictions = DensePredictions(logit(scores.tolist())[None], deltas[None], level_sizes or [(1, len(priors))])
    (found,) = NMSPostprocess(**options)(predictions, priors, CODER, [size])
    return found


# Two boxes with IoU 0.6, one elsewhere.
PRIORS = [[0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60]]


def test_hand_computed():
    found = run([[0.9, 0.1], [0.8, 0.7], [0.01, 0.06]], PRIORS)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.bboxes.tolist() == [PRIORS[0], PRIORS[1], PRIORS[2]]
    # (0, class 1) with 0.1 is dropped for (1, class 1) with 0.7; (1, class 0) for (0, class 0)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.06])


def test_boxes_of_two_classes_do_not_suppress_each_other():
    found = run([[0.9, 0.8], [0.0, 0.0], [0.0, 0.0]], PRIORS, score_thr=0.5)
    assert found.bboxes.tolist() == [PRIORS[0], PRIORS[0]]
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize(("iou_threshold", "count"), [(0.59, 1), (0.61, 2)])
def test_iou_threshold(iou_threshold, count):
    assert len(run([[0.9], [0.8]], PRIORS[:2], iou_threshold=iou_threshold)) == count


@pytest.mark.parametrize(
    ("score_thr", "expected"),
    [(0.5, [0.9]), (0.3, [0.9, 0.5]), (0.05, [0.9, 0.5, 0.06]), (0.0, [0.9, 0.5, 0.06, 0.0]), (0.95, [])],
)
@pytest.mark.parametrize("with_quality", [False, True])
def test_score_threshold(score_thr, expected, with_quality):
    """A score of just the threshold is not above it; 0 keeps even a score of 0."""
    logits = torch.tensor([[[0.0], [-200.0], [math.log(9)], [-math.log(0.94 / 0.06)]]])
    predictions = DensePredictions(logits, torch.zeros(1, 4, 4), [(1, 4)], logits[..., 0] if with_quality else None)
    (found,) = NMSPostprocess(score_thr=score_thr)(predictions, torch.tensor(grid(4)).float(), CODER, [(99, 99)])
    assert found.scores.tolist() == pytest.approx(expected)


def grid(count):
    return [[20 * i, 0, 20 * i + 10, 10] for i in range(count)]


def test_topk_is_of_each_level():
    scores = [[0.9], [0.8], [0.7], [0.6], [0.2], [0.1]]
    found = run(scores, grid(6), level_sizes=[(2, 2), (1, 2)], topk_per_level=1)
    assert found.scores.tolist() == pytest.approx([0.9, 0.2])
    found = run(scores, grid(6), level_sizes=[(2, 2), (1, 2)], topk_per_level=3)
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.2, 0.1])


def test_topk_counts_predictions_not_priors():
    found = run([[0.9, 0.8], [0.7, 0.1]], grid(2), topk_per_level=2)
    assert found.bboxes.tolist() == [grid(2)[0]] * 2


def test_cap_keeps_the_best():
    found = run([[0.1 + 0.08 * ((7 * i) % 10)] for i in range(10)], grid(10), max_per_img=3)
    assert found.scores.tolist() == pytest.approx([0.82, 0.74, 0.66])


def test_boxes_are_clipped_before_they_suppress():
    priors = [[-100, 0, 10, 10], [0, 0, 10, 10]]
    found = run([[0.9], [0.8]], priors, size=(10, 12))
    assert found.bboxes.tolist() == [[0, 0, 10, 10]]  # equal once clipped
    found = run([[0.9]], [[-5, -5, 50, 50]], size=(20, 30))
    assert found.bboxes.tolist() == [[0, 0, 30, 20]]


def test_deltas_are_decoded_at_their_prior():
    deltas = torch.tensor([[0.0, 0, 0, 0], [0.5, -0.5, 0, 0]])
    found = run([[0.1, 0.2], [0.3, 0.9]], [[0, 0, 10, 10], [100, 100, 120, 140]], deltas=deltas, score_thr=0.8)
    assert found.bboxes.tolist() == [[110, 80, 130, 120]]
    assert found.labels.tolist() == [1]


@pytest.mark.parametrize("sizes", [[(3, 2), (1, 1)], [(1, 1)]])
def test_empty_result(sizes):
    priors = AnchorGenerator([8, 16][: len(sizes)])(sizes)
    predictions = DensePredictions(torch.full((2, len(priors), 80), -20.0), torch.zeros(2, len(priors), 4), sizes)
    results = NMSPostprocess()(predictions, priors, CODER, [(10, 10)] * 2)
    assert len(results) == 2
    for found in results:
        assert found.bboxes.shape == (0, 4)
        assert found.scores.shape == found.labels.shape == (0,)
        assert (found.bboxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
        assert found.labels.dtype == torch.int64


def random_predictions(images=2, num_classes=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    sizes = [(8, 12), (4, 6), (2, 3)]
    priors = AnchorGenerator([8, 16, 32])(sizes)
    logits = torch.randn(images, len(priors), num_classes, generator=generator) * 2 - 2
    deltas = torch.randn(images, len(priors), 4, generator=generator) / 3
    return DensePredictions(logits.to(dtype), deltas.to(dtype), sizes), priors


def test_laws_of_the_result():
    predictions, priors = random_predictions()
    results = NMSPostprocess(topk_per_level=300, max_per_img=50)(predictions, priors, CODER, [(64, 96), (50, 70)])
    for found, (height, width) in zip(results, [(64, 96), (50, 70)], strict=True):
        assert len(found) == 50
        assert torch.equal(found.scores, found.scores.sort(descending=True).values)
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height, width, height])).all()
        # Boxes in the padding are clipped to nothing, which overlaps nothing (0 / 0).
        iou = box_iou(found.bboxes, found.bboxes).fill_diagonal_(0).nan_to_num()
        assert (iou[found.labels[:, None] == found.labels] <= 0.5).all()


def test_images_of_a_batch_do_not_mix():
    predictions, priors = random_predictions()
    postprocess = NMSPostprocess()
    together = postprocess(predictions, priors, CODER, [(64, 96), (50, 70)])
    for index, size in enumerate([(64, 96), (50, 70)]):
        one = DensePredictions(
            predictions.logits[index : index + 1], predictions.deltas[index : index + 1], predictions.level_sizes
        )
        (alone,) = postprocess(one, priors, CODER, [size])
        assert torch.equal(alone.bboxes, together[index].bboxes)
        assert torch.equal(alone.labels, together[index].labels)


def test_half_precision_gives_float32():
    predictions, priors = random_predictions(dtype=torch.bfloat16)
    found, _ = NMSPostprocess()(predictions, priors, CODER, [(64, 96)] * 2)
    full = DensePredictions(predictions.logits.float(), predictions.deltas.float(), predictions.level_sizes)
    expected, _ = NMSPostprocess()(full, priors, CODER, [(64, 96)] * 2)
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    assert torch.equal(found.bboxes, expected.bboxes)


@pytest.mark.parametrize("score_thr", [-0.1, 1.0])
def test_impossible_threshold(score_thr):
    with pytest.raises(ValueError, match=rf"score_thr is {score_thr}; it must lie in \[0, 1\)"):
        NMSPostprocess(score_thr=score_thr)


@pytest.mark.parametrize("size", [60, 400], ids=["nearly all are dropped", "few are dropped"])
@pytest.mark.parametrize("max_per_img", [1, 20, 100])
def test_the_best_are_those_of_all_candidates(size, max_per_img):
    generator = torch.Generator().manual_seed(size)
    corner = torch.rand(3000, 2, generator=generator) * size
    boxes = torch.cat([corner, corner + 40 + 5 * torch.rand(3000, 2, generator=generator)], dim=1)
    # Few values, so that many scores are equal.
    scores = torch.randint(0, 1000, (3000,), generator=generator) / 1000
    labels = torch.randint(0, 3, (3000,), generator=generator)
    found = NMSPostprocess(max_per_img=max_per_img).suppress(boxes, scores, labels)
    keep = batched_nms(boxes, scores, labels, 0.5)
    kept = [part[:max_per_img] for part in found]
    assert len(kept[0]) == min(max_per_img, len(keep))
    assert torch.equal(kept[1], scores[keep][:max_per_img])
    everything = set(map(tuple, torch.cat([boxes[keep], labels[keep, None]], dim=1).tolist()))
    assert set(map(tuple, torch.cat([kept[0], kept[2][:, None]], dim=1).tolist())) <= everything


def quality_case():
    """Three priors far apart; class probabilities .9, .04 and .3, qualities .1, .9 and .5."""
    priors = torch.tensor([[0.0, 0, 8, 8], [20, 0, 28, 8], [40, 0, 48, 8]])
    logits = torch.logit(torch.tensor([[[0.9], [0.04], [0.3]]]))
    quality = torch.logit(torch.tensor([[0.1, 0.9, 0.5]]))
    return DensePredictions(logits, torch.zeros(1, 3, 4), [(1, 3)], quality), priors


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(0.15**0.5, 2), (0.09**0.5, 0), (0.036**0.5, 1)]),
        ({"quality_score": "product"}, [(0.15, 2), (0.09, 0)]),  # 0.036 is below the threshold
        ({"rank_by": "class_score"}, [(0.15**0.5, 2), (0.09**0.5, 0)]),  # 0.04 is
        ({"rank_by": "class_score", "quality_score": "product"}, [(0.15, 2), (0.09, 0)]),
        ({"rank_by": "class_score", "topk_per_level": 1}, [(0.09**0.5, 0)]),
        ({"topk_per_level": 1}, [(0.15**0.5, 2)]),
        ({"rank_by": "class_score", "score_thr": 0.0}, [(0.15**0.5, 2), (0.09**0.5, 0), (0.036**0.5, 1)]),
    ],
)
def test_how_class_and_quality_make_a_score(options, expected):
    (found,) = NMSPostprocess(**options)(*quality_case(), CODER, [(64, 64)])
    assert found.scores.tolist() == pytest.approx([score for score, _ in expected])
    assert (found.bboxes[:, 0] / 20).tolist() == [prior for _, prior in expected]


@pytest.mark.parametrize(("min_box_size", "kept"), [(None, 3), (0.0, 2), (7.9, 2), (8.0, 0)])
def test_boxes_without_area_may_be_dropped_before_they_suppress(min_box_size, kept):
    (found,) = NMSPostprocess(min_box_size=min_box_size)(*quality_case(), CODER, [(64, 40)])  # the third is clipped
    assert len(found) == kept


def test_boxes_may_stay_beyond_the_image():
    (found,) = NMSPostprocess(clip=False)(*quality_case(), CODER, [(4, 4)])
    assert sorted(found.bboxes.tolist()) == quality_case()[1].tolist()


@pytest.mark.parametrize(("key", "value"), [("quality_score", "sum"), ("rank_by", "area")])
def test_words_that_mean_nothing(key, value):
    with pytest.raises(ValueError, match=f"postprocess.{key} is '{value}'; valid: "):
        NMSPostprocess(**{key: value})
