"""What the detector does with a mining part, with a softmax loss, and with a normaliser that keeps state."""

import pytest
import torch
from small_detector import EMPTY, ONE, TWO, build, images, match

from rdet.checkpoint import weights_in
from rdet.models.losses.normalizers import Normalizer
from rdet.models.losses.softmax_focal_loss import SoftmaxFocalLoss
from rdet.models.mining.base import Mining

OHEM = {"type": "OHEM", "batch_size": 16}


class EveryTenth(Mining):
    """Chooses every tenth prior that is not ignored, and remembers what it saw."""

    def __init__(self):
        self.seen = []

    def __call__(self, losses, labels, priors):
        self.seen.append((losses, labels, priors))
        return (torch.arange(len(losses)) % 10 == 0) & (labels > -2)


@pytest.mark.parametrize("normalizer", ["BatchNormalizer", "ImageNormalizer"])
def test_only_chosen_priors_count_and_their_number_divides(normalizer):
    model = build(normalizer={"type": normalizer})
    inputs, samples = images(3), [TWO, EMPTY, ONE]
    without = model(inputs, samples, mode="loss")
    model.criterion.mining = EveryTenth()
    losses = model(inputs, samples, mode="loss")
    assert losses["loss_bbox"] == without["loss_bbox"]
    assert len(model.criterion.mining.seen) == 3
    sums, counts = [], []
    for per_prior, labels, priors in model.criterion.mining.seen:
        assert not per_prior.requires_grad
        assert len(per_prior) == len(labels) == len(priors)
        chosen = (torch.arange(len(labels)) % 10 == 0) & (labels > -2)
        sums.append(per_prior[chosen].sum())
        counts.append(chosen.sum())
    if normalizer == "BatchNormalizer":
        expected = sum(sums) / sum(counts)
    else:
        expected = sum(total / count for total, count in zip(sums, counts, strict=True)) / 3
    torch.testing.assert_close(losses["loss_cls"], expected)


def test_gradients_come_from_chosen_priors_alone():
    model = build(mining=OHEM)
    predictions = model(images(2))
    logits = predictions.logits.detach().requires_grad_()
    priors = model.anchor_generator(predictions.level_sizes, "cpu")
    model.loss(predictions._replace(logits=logits), priors, [TWO, ONE])["loss_cls"].backward()
    assert logits.grad.abs().sum(dim=2).count_nonzero(dim=1).tolist() == [16, 16]


def test_images_without_objects_are_mined_too():
    model = build(mining={**OHEM, "neg_pos_ratio": 3})
    losses = model(images(2), [EMPTY, EMPTY], mode="loss")
    sum(losses.values()).backward()
    assert losses["loss_cls"] > 0
    assert losses["loss_bbox"] == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"mining": OHEM, "cls_mass": {"type": "ClassScore"}},
            "model.mining and model.cls_mass both say what loss_cls is divided by; remove one",
        ),
        (
            {"mining": OHEM, "normalizer": {"type": "EMANormalizer"}},
            "model.normalizer: EMANormalizer keeps one state, and model.mining would have it count two things",
        ),
        (
            {"bbox_weight": {"type": "ClassScore"}, "normalizer": {"type": "EMANormalizer"}},
            "EMANormalizer keeps one state, and model.bbox_weight",
        ),
    ],
)
def test_two_parts_that_say_what_a_loss_is_divided_by(parts, message):
    with pytest.raises(ValueError, match=message):
        build(**parts)


class Counting(Normalizer):
    """Divides by 1, and remembers what it counted."""

    def __init__(self):
        self.counted = []

    def __call__(self, num_pos):
        self.counted.append(num_pos)
        return num_pos.new_ones(len(num_pos))


def test_running_normaliser_divides_both_losses():
    once = build()(images(2), [TWO, ONE], mode="loss")
    model = build(normalizer={"type": "EMANormalizer", "momentum": 0.5, "initial": 4.0}).train()
    positives = build()
    positives.criterion.normalizer = Counting()
    counted = positives.criterion.normalizer.counted
    positives(images(2), [TWO, ONE], mode="loss")
    number = counted[0].sum()
    losses = model(images(2), [TWO, ONE], mode="loss")
    for name, value in losses.items():
        torch.testing.assert_close(value, once[name] * number / (0.5 * 4 + 0.5 * number))
    assert "criterion.normalizer.mean" in model.state_dict()
    old = {name.removeprefix("criterion."): value for name, value in model.state_dict().items()}
    assert weights_in({"state_dict": old}).keys() == model.state_dict().keys()


def test_scores_of_a_softmax_loss_are_its_probabilities():
    model = build(
        loss_cls={"type": "SoftmaxFocalLoss"}, postprocess={"type": "NMSPostprocess", "score_thr": 0.0}
    ).eval()
    with torch.no_grad():
        predictions = model(images(1))
        found = model(images(1), [TWO], mode="predict")[0].pred_instances
    probabilities = torch.cat([predictions.logits, torch.zeros_like(predictions.logits[..., :1])], 2).softmax(2)[
        ..., :3
    ]
    assert found.scores.max().item() == pytest.approx(probabilities.max().item(), rel=1e-5)
    torch.testing.assert_close(model.criterion.loss_cls.binary_logits(predictions.logits).sigmoid(), probabilities)
    assert SoftmaxFocalLoss().binary_logits(predictions.logits).shape == predictions.logits.shape


def test_a_softmax_loss_learns_the_background():
    """Its gradient lowers the logits of priors without a box and raises those of their classes."""
    model = build(loss_cls={"type": "SoftmaxFocalLoss"})
    predictions = model(images(1))
    logits = predictions.logits.detach().requires_grad_()
    priors = model.anchor_generator(predictions.level_sizes, "cpu")
    model.loss(predictions._replace(logits=logits), priors, [TWO])["loss_cls"].backward()
    _, labels = match(model, predictions, priors, [TWO])
    assert (logits.grad[labels == -1] > 0).all()
    assert (logits.grad[labels >= 0].gather(1, labels[labels >= 0][:, None]) < 0).all()
