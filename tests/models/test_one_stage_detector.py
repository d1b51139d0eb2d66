"""The assembled detector, built from a config with few channels."""

import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from small_detector import ALL_IGNORED, EMPTY, ONE, PRIORS, TWO, build, images, match, sample
from torchvision.ops import box_iou

from rdet.models.assigners.base import ImageAssigner
from rdet.models.losses.base import PositiveLoss, SoftTargetLoss
from rdet.models.losses.focal_loss import FocalLoss
from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.structures import DensePredictions


@pytest.fixture(scope="module")
def model():
    return build()


def test_tensor_mode(model):
    predictions = model(images(2))
    assert isinstance(predictions, DensePredictions)
    assert predictions.logits.shape == (2, PRIORS, 3)
    assert predictions.deltas.shape == (2, PRIORS, 4)
    assert predictions.level_sizes == [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]


def test_unknown_mode(model):
    with pytest.raises(ValueError, match="mode is 'losses'; valid: 'tensor', 'loss', 'predict'"):
        model(images(1), [ONE], mode="losses")


@pytest.mark.parametrize("mode", ["loss", "predict"])
def test_a_mode_that_needs_samples_says_so(model, mode):
    with pytest.raises(ValueError, match=f"mode '{mode}' needs data_samples, one for each image"):
        model(images(1), mode=mode)


@pytest.mark.parametrize(
    "samples",
    [[TWO], [EMPTY], [ALL_IGNORED], [TWO, EMPTY], [EMPTY, EMPTY], [ALL_IGNORED, ONE], [ALL_IGNORED, EMPTY]],
    ids=["boxes", "empty", "ignored", "boxes_empty", "two_empty", "ignored_boxes", "ignored_empty"],
)
def test_losses_and_gradients_are_finite(model, samples):
    model.zero_grad()
    losses = model(images(len(samples)), samples, mode="loss")
    assert set(losses) == {"loss_cls", "loss_bbox"}
    assert all(value.shape == () and value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # every one takes part, with or without boxes
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    positives = any(len(s.gt_instances) for s in samples)
    assert (losses["loss_bbox"] > 0) == positives
    assert (losses["loss_cls"] > 0) == any(s is not ALL_IGNORED for s in samples)


def matches_of(model, samples):
    """Matches and labels of the priors of the images' size."""
    predictions = model(images(1))
    return match(model, predictions, model.anchor_generator(predictions.level_sizes), samples)


def positives_of(model, samples):
    return (matches_of(model, samples)[1] >= 0).sum(dim=1).tolist()


@pytest.mark.parametrize("samples", [[TWO, ONE], [TWO, EMPTY], [ONE, ALL_IGNORED], [EMPTY, EMPTY]])
@pytest.mark.parametrize("normalizer", ["BatchNormalizer", "ImageNormalizer"])
def test_batch_is_the_sum_of_its_images(model, samples, normalizer, monkeypatch):
    monkeypatch.setattr(model.criterion, "normalizer", MODELS.build({"type": normalizer}))
    inputs = images(2)
    with torch.no_grad():
        batch = model(inputs, samples, mode="loss")
        singles = [model(inputs[i : i + 1], samples[i : i + 1], mode="loss") for i in range(2)]
    counts = positives_of(model, samples)
    assert (counts[0] > 0) == bool(len(samples[0].gt_instances))
    weights = [max(1, count) for count in counts] if normalizer == "BatchNormalizer" else [1, 1]
    divisor = max(1, sum(counts)) if normalizer == "BatchNormalizer" else 2
    for key, value in batch.items():
        expected = sum(w * single[key] for w, single in zip(weights, singles, strict=True)) / divisor
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-7)


def test_initial_loss_follows_from_the_prior(model):
    """At the start p is 0.01: alpha (1-p)^2 log(1/p) for each target, (1-alpha) p^2 log(1/(1-p)) for all others."""
    losses = model(images(1), [TWO], mode="loss")
    (positives,) = positives_of(model, [TWO])
    used = int((matches_of(model, [TWO])[1] != -2).sum())
    target, other = 0.25 * 0.99**2 * -math.log(0.01), 0.75 * 0.01**2 * -math.log(0.99)
    expected = (positives * target + (3 * used - positives) * other) / positives
    assert losses["loss_cls"].item() == pytest.approx(expected, rel=0.02)


def test_matches(model, monkeypatch):
    monkeypatch.setattr(model, "anchor_generator", None)  # which would know these priors to lie on a grid
    priors = torch.tensor([[8.0, 8, 40, 40], [8, 8, 40, 36], [200, 200, 220, 220], [8, 8, 40, 23], [60, 0, 70, 10]])
    two = sample([[0, 70, 9, 79], [8, 8, 40, 40]], [1, 2], [[60, 0, 70, 6]])
    predictions = DensePredictions(torch.zeros(4, 5, 3), torch.zeros(4, 5, 4), [(1, 5)])
    matches, labels = match(model, predictions, priors, [EMPTY, two, EMPTY, two])
    # The IoU of the fourth is 0.47; the fifth is in a crowd.
    assert labels.tolist() == [[-1] * 5, [2, 2, -1, -2, -2]] * 2
    assert matches.image.tolist() == [1, 1, 3, 3]
    assert matches.prior.tolist() == [0, 1, 0, 1]
    assert matches.gt_index.tolist() == [1, 1, 3, 3]
    assert sorted(matches.ignored.tolist()) == [8, 9, 18, 19]


def test_losses_equal_their_formulas(model):
    predictions = model(images(1))
    priors = model.anchor_generator(predictions.level_sizes)
    losses = model.loss(predictions, priors, [TWO])
    matches, labels = match(model, predictions, priors, [TWO])
    positive = labels[0] >= 0
    expected = FocalLoss()(predictions.logits, labels).sum() / positive.sum()
    torch.testing.assert_close(losses["loss_cls"], expected)
    target = model.bbox_coder.encode(priors[positive], TWO.gt_instances.bboxes[matches.gt_index])
    difference = (predictions.deltas[0, positive] - target).abs()
    smooth = torch.where(difference < 0.11, difference**2 / 0.22, difference - 0.055)
    torch.testing.assert_close(losses["loss_bbox"], smooth.sum() / positive.sum())


class Half(Quality):
    """A weight that no formula of another part gives."""

    def of(self, positives):
        return 0.5 + positives.labels.float()


class Fixed(ImageAssigner):
    """Assigns what it is told."""

    def __init__(self, assigned):
        super().__init__()
        self.assigned = assigned

    def assign(self, image):
        return self.assigned


def one_positive(model, at, label, box):
    """Predictions of zeros for one image, and targets of one positive prior ``at``."""
    sizes = [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
    priors = model.anchor_generator(sizes)
    predictions = DensePredictions(
        torch.zeros(1, PRIORS, 3), torch.zeros(1, PRIORS, model.bbox_coder.box_dim), sizes, torch.zeros(1, PRIORS)
    )
    assigned = torch.full((PRIORS,), -1)
    assigned[list(at)] = 0
    model.assigner = Fixed(assigned)
    return predictions, priors, [sample([box], [label])]


@pytest.mark.parametrize("slot", ["bbox_weight", "cls_mass", "quality"])
def test_nothing_learns_through_a_weight_a_mass_or_a_target(slot):
    """What rates the positives is a constant: its own gradient never reaches the network."""
    seen = []

    class Rating(Quality):
        def of(self, positives):
            value = positives.predicted.sum(dim=1).sigmoid() + positives.logits.sum(dim=1).sigmoid()
            value.requires_grad or pytest.fail("nothing to learn through")
            value.register_hook(seen.append)
            return value

    soft = {"loss_cls": {"type": "QualityFocalLoss"}} if slot == "quality" else {}
    losses = build(**soft, **{slot: {"type": Rating}})(images(1), [TWO], mode="loss")
    sum(losses.values()).backward()
    assert not seen


def test_scores_of_positives_have_no_gradient():
    seen = {}

    class Loss(PositiveLoss):
        def of(self, positives):
            seen.update({name: getattr(positives, name) for name in ("class_scores", "scores", "max_scores")})
            return positives.deltas.sum(dim=1)

    build(loss_bbox={"type": Loss})(images(1), [TWO], mode="loss")
    assert not any(value.requires_grad for value in seen.values())
    assert seen["scores"].shape == seen["max_scores"].shape == seen["class_scores"].shape[:1]


def test_weights_divide_the_box_loss_by_their_sum():
    model = build(bbox_weight={"type": Half}, loss_bbox={"type": "L1Loss"})
    predictions, priors, samples = one_positive(model, (5, 900), 2, [8, 8, 40, 40])
    samples[0].gt_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8, 40, 40], [30, 10, 94, 60]]), labels=torch.tensor([0, 2])
    )
    assigned = torch.full((PRIORS,), -1)
    assigned[5], assigned[900] = 0, 1
    model.assigner = Fixed(assigned)
    loss = model.loss(predictions, priors, samples)["loss_bbox"]
    targets = model.bbox_coder.encode(priors[[5, 900]], samples[0].gt_instances.bboxes).abs().sum(dim=1)
    torch.testing.assert_close(loss, (0.5 * targets[0] + 2.5 * targets[1]) / 3.0)


def test_weights_divide_the_second_loss_of_boxes_too():
    """By the weight's sum and not by the number of positives; the quality's loss by that number."""
    parts = {
        "bbox_head": {"type": "GFLHead", "feat_channels": 16, "stacked_convs": 1},
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
    }
    model = build(**parts, loss_dfl={"type": "DistributionFocalLoss"}, bbox_weight={"type": Half})
    plain = build(**parts)
    predictions = model(images(2))
    priors = model.anchor_generator(predictions.level_sizes)
    losses = model.loss(predictions, priors, [TWO, ONE])
    matches, _ = match(model, predictions, priors, [TWO, ONE])
    truth = torch.cat([sample_.gt_instances.bboxes for sample_ in (TWO, ONE)])[matches.gt_index]
    weight = 0.5 + torch.tensor([0.0, 2.0, 1.0])[matches.gt_index]
    target = model.bbox_coder.encode(priors[matches.prior], truth)
    each = model.criterion.loss_dfl(predictions.deltas[matches.image, matches.prior], target)
    assert weight.unique().numel() > 1
    torch.testing.assert_close(losses["loss_dfl"], (each * weight).sum() / weight.sum())
    torch.testing.assert_close(losses["loss_quality"], plain.loss(predictions, priors, [TWO, ONE])["loss_quality"])


class Little(Half):
    def of(self, positives):
        return super().of(positives) / 1000


def test_a_factor_of_all_weights_cancels_where_their_sum_may_be_small():
    """``min_mass`` and not the least number of positives is what a sum of weights has at least."""
    normalizer, losses = {"type": "BatchNormalizer", "min_mass": 1e-6}, []
    for part in (Half, Little):
        model = build(bbox_weight={"type": part}, cls_mass={"type": part}, normalizer=normalizer)
        losses.append(model.loss(*one_positive(model, (5, 900), 1, [8, 8, 40, 40])))
    torch.testing.assert_close(losses[1]["loss_bbox"], losses[0]["loss_bbox"])
    torch.testing.assert_close(losses[1]["loss_cls"], losses[0]["loss_cls"] * 1000)


def test_cls_mass_replaces_the_number_of_positives():
    plain, massive = build(), build(cls_mass={"type": Half})
    losses = [model.loss(*one_positive(model, (5, 900), 1, [8, 8, 40, 40])) for model in (plain, massive)]
    torch.testing.assert_close(losses[0]["loss_cls"] * 2, losses[1]["loss_cls"] * 3)
    torch.testing.assert_close(losses[0]["loss_bbox"], losses[1]["loss_bbox"])


def test_quality_is_the_soft_target_of_positives():
    """Zero deltas decode to the priors, whose IoU with the box is the target."""
    seen = {}

    class Loss(SoftTargetLoss):
        def forward(self, logits, labels, quality):
            seen.update(labels=labels, quality=quality)
            return logits.sum(dim=2)

    model = build(loss_cls={"type": Loss})
    predictions, priors, samples = one_positive(model, (5, 900), 1, [8, 8, 40, 40])
    model.loss(predictions, priors, samples)
    expected = torch.zeros(1, PRIORS)
    expected[0, [5, 900]] = box_iou(priors[[5, 900]], samples[0].gt_instances.bboxes)[:, 0]
    torch.testing.assert_close(seen["quality"], expected)
    assert seen["labels"][0, [5, 900]].tolist() == [1, 1]


def test_quality_loss_is_divided_by_the_positives():
    model = build(loss_quality={"type": "BinaryCrossEntropyLoss"}, quality={"type": "Centerness"})
    assert model.bbox_head.conv_quality is not None
    loss = model.loss(*one_positive(model, (5, 900, 901), 1, [8, 8, 40, 40]))["loss_quality"]
    torch.testing.assert_close(loss, torch.tensor(2.0).log())  # of a logit of 0, whatever the target


def test_boxes_are_decoded_with_their_gradient_where_a_part_saw_them_before():
    model = build(loss_bbox={"type": "GIoULoss"}, loss_cls={"type": "QualityFocalLoss"})
    predictions, priors, samples = one_positive(model, (5, 900), 1, [8, 8, 40, 40])
    predictions.deltas.requires_grad_()
    model.loss(predictions, priors, samples)["loss_bbox"].backward()
    assert predictions.deltas.grad[0, [5, 900]].any(dim=1).all()


def test_a_value_that_is_no_loss_is_only_logged(model):
    total, logged = model.parse_losses({"loss_cls": torch.tensor(2.0), "acc": torch.tensor(50.0)})
    assert total == logged["loss"] == 2.0
    assert logged["acc"] == 50.0


def test_parse_losses(model):
    losses = {"loss_cls": torch.tensor(2.0, requires_grad=True), "loss_bbox": torch.tensor(0.5)}
    total, logged = model.parse_losses(losses)
    assert total.requires_grad
    assert {name: value.item() for name, value in logged.items()} == {"loss": 2.5, "loss_cls": 2.0, "loss_bbox": 0.5}
    assert not any(value.requires_grad for value in logged.values())


def test_train_and_val_step():
    model = build()
    data = {
        "inputs": [torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8)],
        "data_samples": [sample(img_shape=(60, 90))],
    }
    before = model.bbox_head.conv_cls.weight.clone()
    logged = model.train_step(data, OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
    assert set(logged) == {"loss", "loss_cls", "loss_bbox"}
    assert not torch.equal(model.bbox_head.conv_cls.weight, before)
    (found,) = model.val_step(data)
    assert "pred_instances" in found
    assert model.data_preprocessor(data)["inputs"].shape == (1, 3, 64, 96)


def test_model_is_in_channels_last(model):
    assert model.bbox_head.conv_cls.weight.is_contiguous(memory_format=torch.channels_last)


def test_frozen_parts_stay_frozen_in_the_detector(model):
    model.train()
    assert not model.backbone.stem.training
    assert model.backbone.levels[1].training
    assert not model.backbone.levels[1][1].training  # normalisation
    assert model.neck.training
    assert not model.backbone.stem[0].weight.requires_grad


@pytest.mark.parametrize("loss_bbox", ["SmoothL1Loss", "GIoULoss", "CIoULoss"])
@pytest.mark.parametrize("samples", [[TWO, EMPTY], [ALL_IGNORED, ONE]], ids=["boxes", "crowd"])
def test_training_step_never_waits_for_the_device(loss_bbox, samples):
    """Tensors on the meta device have no values, so whatever asks for one raises."""
    model = build(loss_bbox__type=loss_bbox).to("meta")
    losses = model(images(2).to("meta"), samples, mode="loss")
    sum(losses.values()).backward()
    assert all(value.device.type == "meta" for value in losses.values())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
