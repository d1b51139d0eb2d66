"""What the contract between the parts allows beyond one set of boxes at equal levels."""

import pytest
import torch
from small_detector import EMPTY, ONE, TWO, build, images, match, sample

from rdet.errors import PartError
from rdet.models.dense_heads.retina_head import RetinaHead
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.match_batch import MatchBatch
from rdet.structures.matches import Matches
from rdet.structures.positives import Positives

LEVELS = {
    "type": "FittedAnchorGenerator",
    "sizes": [[(8, 8)], [(16, 16), (24, 12)], [(32, 32), (40, 20), (20, 40)], [(64, 64)], [(90, 60)]],
}
COUNTS = [96, 24 * 2, 6 * 3, 2, 1]


@pytest.mark.parametrize("head", ["RetinaHead", "ATSSHead", "FCOSHead"])
def test_levels_with_other_numbers_of_priors(head):
    changes = {"bbox_head": {"type": head, "feat_channels": 16, "stacked_convs": 1}}
    if head == "FCOSHead":
        changes |= {"bbox_coder": {"type": "DistancePointBBoxCoder"}, "loss_bbox": {"type": "GIoULoss"}}
        changes |= {"loss_quality": {"type": "BinaryCrossEntropyLoss"}, "quality": {"type": "Centerness"}}
    model = build(anchor_generator=LEVELS, **changes)
    predictions = model(images(2))
    assert predictions.level_lengths == COUNTS
    assert predictions.logits.shape == (2, sum(COUNTS), 3)
    priors = model.anchor_generator(predictions.level_sizes)
    assert len(priors) == sum(COUNTS)
    start = COUNTS[0]
    assert priors[start : start + 3, 2:].sub(priors[start : start + 3, :2]).tolist() == [[16, 16], [24, 12], [16, 16]]
    on_grid, labels = match(model, predictions, priors, [TWO, ONE])
    model.anchor_generator.grid = None  # so that each box is compared with each prior
    model.anchor_generator.__class__ = type("NoGrid", (), {"__call__": type(model.anchor_generator).__call__})
    by_pairs, same = match(model, predictions, priors, [TWO, ONE])
    assert torch.equal(labels, same)
    assert all(torch.equal(a, b) for a, b in zip(on_grid[:3], by_pairs[:3], strict=True))
    assert (labels >= 0).any(dim=1).all()
    losses = model.loss(predictions, priors, [TWO, ONE])
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.bbox_head.parameters())
    model.postprocess.score_thr = 0.0
    (found,) = model.predict(model(images(1)), priors, [sample()])
    assert len(found.pred_instances) == 100


class CountingHead(RetinaHead):
    """Adds a loss of its own, on maps of its own."""

    def forward(self, levels):
        predictions = super().forward(levels)
        return predictions._replace(extra={"sum": predictions.logits.sum(dim=2)})

    def extra_losses(self, predictions, positives, divisor):
        loss = predictions.extra["sum"][positives.image, positives.prior].square()
        return {"loss_extra": (loss / divisor[positives.image]).sum()}


@pytest.mark.parametrize("samples", [[TWO, ONE], [EMPTY, EMPTY]])
def test_losses_of_the_head_itself(samples):
    model = build(bbox_head__type=CountingHead)
    predictions = model(images(2))
    losses = model(images(2), samples, mode="loss")
    _, labels = match(model, predictions, model.anchor_generator(predictions.level_sizes), samples)
    count = max(1, int((labels >= 0).sum()))
    torch.testing.assert_close(losses["loss_extra"], predictions.logits.sum(2)[labels >= 0].square().sum() / count)
    total, logged = model.parse_losses(losses)
    assert total == logged["loss"] == sum(losses.values())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            {"penalty": torch.ones(())},
            "gave 'penalty'; the name must contain 'loss' and not be one of loss_cls, loss_bbox",
        ),
        ({"loss_bbox": torch.ones(())}, "gave 'loss_bbox'; the name must contain 'loss' and not be one of"),
        ({"loss_extra": torch.ones(3)}, r"loss_extra gave a tensor \(3,\); it must be a scalar"),
    ],
)
def test_losses_of_the_head_that_would_not_be_trained(extra, message):
    model = build()
    model.bbox_head.extra_losses = lambda *_: extra
    with pytest.raises(PartError, match=message):
        model(images(1), [TWO], mode="loss")


def test_positives_know_the_size_of_their_image():
    model = build()
    seen = []

    class Loss(type(model.criterion.loss_bbox)):
        def of(self, positives):
            seen.append((positives.image, positives.image_sizes))
            return super().of(positives)

    model.criterion.loss_bbox.__class__ = Loss
    wide = sample([[8, 8, 40, 40]], [0], img_shape=(60, 90))
    model(images(2), [wide, ONE], mode="loss")
    ((image, sizes),) = seen
    assert sizes[image == 0].unique(dim=0).tolist() == [[60, 90]]
    assert sizes[image == 1].unique(dim=0).tolist() == [[64, 96]]


def test_an_image_has_a_size_before_and_after_its_padding():
    truth = GroundTruth.of_samples([sample(img_shape=(60, 90), pad_shape=(64, 96)), sample(img_shape=(60, 90))])
    assert truth.image_sizes == [(60, 90), (60, 90)]
    assert truth.padded_sizes == [(64, 96), (60, 90)]


def test_a_loss_of_initial_boxes_needs_a_head_that_refines():
    model = build(loss_bbox_initial={"type": "SmoothL1Loss"})
    with pytest.raises(ValueError, match="loss_bbox_initial is set, but model.bbox_head predicts one set of boxes"):
        model(images(1), [TWO], mode="loss")


def test_loss_of_initial_boxes_is_that_of_these_boxes():
    """Weights, divisor and quality are those of the first set of boxes, not of the refined ones."""
    parts = {"loss_bbox": {"type": "GIoULoss"}, "bbox_weight": {"type": "IoUQuality"}}
    model = build(loss_bbox_initial={"type": "GIoULoss", "loss_weight": 0.5}, **parts)
    predictions = model(images(2))
    first, second = predictions.deltas, predictions.deltas + 0.3
    priors = model.anchor_generator(predictions.level_sizes)
    losses = model.loss(predictions._replace(deltas=second, initial_deltas=first), priors, [TWO, ONE])
    plain = build(**parts)
    for name, deltas, weight in (("loss_bbox_initial", first, 0.5), ("loss_bbox", second, 1.0)):
        expected = plain.loss(predictions._replace(deltas=deltas), priors, [TWO, ONE])["loss_bbox"]
        torch.testing.assert_close(losses[name], expected * weight)
    assert losses["loss_bbox"] != losses["loss_bbox_initial"]


def test_what_is_matched_by_half_precision_is_computed_in_float32():
    model = build()
    predictions = model(images(1))
    priors, truth = model.anchor_generator(predictions.level_sizes), GroundTruth.of_samples([TWO])
    half = predictions._replace(logits=predictions.logits.bfloat16(), deltas=predictions.deltas.bfloat16())
    batch = MatchBatch(half, priors, truth, None, model.bbox_coder.decode, lambda logits: logits)
    whole = half.deltas[0].float()
    assert torch.equal(batch.scores(0), half.logits[0].float().sigmoid())
    assert torch.equal(batch.decoded(0), model.bbox_coder.decode(priors, whole))
    index = torch.arange(9)
    matches = Matches(index * 0, index, index * 0, index[:0])
    positives = Positives(half, priors, matches, truth, model.bbox_coder, lambda logits: logits)
    assert torch.equal(positives.predicted, model.bbox_coder.decode(priors[:9], whole[:9]))
