"""The assembled detector, built from a config with few channels."""

import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from small_detector import ALL_IGNORED, CONFIG, EMPTY, ONE, PRIORS, SIZE, TWO, build, config, images, match, sample
from tiny_parts import TinyBackbone
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.ops import box_iou

from rdet import registry
from rdet.errors import NonFiniteDetectionError
from rdet.models.assigners.base import ImageAssigner
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.losses.base import ClassificationLoss, HardTargetLoss, PositiveLoss, SoftTargetLoss
from rdet.models.losses.focal_loss import FocalLoss
from rdet.models.quality.base import Quality
from rdet.registry import MODELS, UnknownNameError
from rdet.structures import DensePredictions
from rdet.structures.matches import Matches


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4}},
            r"model\.loss_bbox: SmoothL1Loss compares encoded boxes, but DistributionBBoxCoder predicts 20 numbers for",
        ),
        (
            {"loss_dfl": {"type": "DistributionFocalLoss"}},
            r"model\.loss_dfl needs a distribution of each side, which DeltaXYWHBBoxCoder has not",
        ),
        (
            {
                "bbox_head": {"type": "TOODHead", "feat_channels": 8, "stacked_convs": 1},
                "anchor_generator": {"type": "PointGenerator"},
                "loss_quality": {"type": "BinaryCrossEntropyLoss"},
            },
            r"model\.bbox_head: TOODHead has no quality branch for model\.loss_quality",
        ),
        (
            {"bbox_head": {"type": "FCOSHead", "feat_channels": 16}},
            r"model\.bbox_head: FCOSHead predicts distances, but DeltaXYWHBBoxCoder decodes deltas; take a coder of",
        ),
        ({"quality": {"type": "Centerness"}}, r"model\.quality is set, but no loss or weight of the model reads it"),
        (
            {"quality": {"type": "SameQuality"}, "bbox_weight": {"type": "SameQuality"}},
            r"model\.quality: SameQuality reads the quality, which it is itself",
        ),
        (
            {
                "anchor_generator": {"type": "AnchorGenerator", "scales_per_octave": 1, "ratios": [1.0]},
                "bbox_coder": {"type": "DistancePointBBoxCoder", "prior_scale": 8.0},
            },
            r"model\.bbox_coder\.prior_scale is 8\.0 in the config, but 4\.0 follows from",
        ),
        (
            {"quality": {"type": "L1Loss"}, "loss_bbox": {"type": "CrossEntropyLoss"}},
            r"model\.loss_bbox: CrossEntropyLoss does not derive from PositiveLoss; derive it from that of rdet",
        ),
    ],
)
def test_parts_that_do_not_go_together(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_predictions_are_in_pixels_of_the_original_image(model):
    """Scale factors are (w, h); boxes are clipped to the network's input before they are divided."""
    sizes = [(2, 3), (1, 1), (1, 1), (1, 1), (1, 1)]
    priors = model.anchor_generator(sizes)
    logits = torch.full((2, len(priors), 3), -10.0)
    logits[0, 0, 2], logits[1, 12, 1] = 3.0, 2.0
    deltas = model.bbox_coder.encode(priors, torch.tensor([[4.0, 2, 16, 20]]).expand_as(priors)).expand(2, -1, -1)
    samples = [sample(scale_factor=(0.5, 2.0), img_shape=(16, 24)), sample(scale_factor=(2.0, 1.0), img_shape=(30, 10))]
    first, second = model.predict(DensePredictions(logits, deltas, sizes), priors, samples)
    torch.testing.assert_close(first.pred_instances.bboxes, torch.tensor([[8.0, 1, 32, 8]]))
    torch.testing.assert_close(second.pred_instances.bboxes, torch.tensor([[2.0, 2, 5, 20]]))
    assert (first.pred_instances.labels.tolist(), second.pred_instances.labels.tolist()) == ([2], [1])
    assert first is samples[0]


def test_predict_mode_and_nothing_found(model):
    with torch.no_grad():
        (found,) = model(images(1), [sample()], mode="predict")
    assert len(found.pred_instances) == 0  # scores are near 0.01
    assert found.pred_instances.bboxes.shape == (0, 4)


def test_a_value_that_is_no_loss_is_only_logged(model):
    total, logged = model.parse_losses({"loss_cls": torch.tensor(2.0), "acc": torch.tensor(50.0)})
    assert total == logged["loss"] == 2.0
    assert logged["acc"] == 50.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neck__num_extra": -1}, "neck.num_extra is -1; it must be a whole number of 0 or more"),
        ({"anchor_generator__scales_per_octave": 0}, "scales_per_octave is 0; it must be a whole number of 1 or more"),
        ({"bbox_coder__target_stds": [1.0, 1.0]}, r"bbox_coder.target_stds is \(1.0, 1.0\); it must have 4 numbers"),
        ({"bbox_coder__target_stds": [0.1, 0.1, 0.2, 0.0]}, "it must be a list of numbers above 0"),
        ({"loss_bbox__beta": -1.0}, "loss_bbox.beta is -1.0; it must be a number of 0 or more"),
        ({"assigner__chunk_size": 0}, "model.assigner.chunk_size is 0; it must be a whole number of 1 or more"),
        (
            {"quality": {"type": "IoUQuality", "min_quality": -3.0}},
            "min_quality is -3.0; it must be a number from 0 to 1",
        ),
        (
            {"quality": {"type": "TaskAlignedQuality", "beta": -1.0}},
            "quality.beta is -1.0; it must be a number of",
        ),
        ({"bbox_coder": {"type": "DistancePointBBoxCoder", "max_distance": -1.0}}, "max_distance is -1.0; it must be"),
    ],
)
def test_numbers_without_a_meaning(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


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


def test_parts_get_the_facts_that_follow_from_others():
    detector = build(
        backbone__depth=50,
        backbone__out_indices=(2, 3),
        neck__num_extra=1,
        anchor_generator__scales_per_octave=1,
        anchor_generator__ratios=[1.0, 2.0],
    )
    assert [conv.in_channels for conv in detector.neck.lateral_convs] == [1024, 2048]
    assert detector.anchor_generator.strides == [16, 32, 64]
    assert detector.bbox_head.conv_cls.out_channels == 2 * 3
    assert detector.bbox_head.conv_reg.out_channels == 2 * 4
    assert type(detector.criterion.normalizer).__name__ == "BatchNormalizer"
    assert type(detector.data_preprocessor).__name__ == "DetDataPreprocessor"


def test_coder_knows_the_priors_size():
    single = {"type": "AnchorGenerator", "octave_base_scale": 6, "scales_per_octave": 1, "ratios": [1.0]}
    distances = {"type": "DistancePointBBoxCoder"}
    box = torch.tensor([[0.0, 0, 96, 48]])
    for priors, scale in ((single, 6), ({"type": "PointGenerator", "center_offset": 0.0}, 1)):
        model = build(anchor_generator=priors, bbox_coder=distances, loss_bbox={"type": "GIoULoss"})
        prior = model.anchor_generator([(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)])[:1]  # at 0, 0, of stride 8
        assert (prior[0, 2] - prior[0, 0]) == 8 * scale
        assert model.bbox_coder.encode(prior, box).tolist() == [[0, 0, 12, 6]]
    nine = build(bbox_coder={**distances, "prior_scale": 3.0}, loss_bbox={"type": "GIoULoss"})
    assert nine.anchor_generator.prior_scale is None
    assert nine.bbox_coder.prior_scale == 3.0


def test_missing_quality_is_said():
    criterion = build(loss_cls={"type": "QualityFocalLoss"}).criterion
    assert type(criterion.quality).__name__ == "IoUQuality"
    with pytest.raises(ValueError, match=r"reads the quality: set model\.quality"):
        DenseCriterion(criterion.loss_cls, criterion.loss_bbox, criterion.normalizer)


def test_a_part_that_does_not_say_that_it_reads_the_quality():
    class Loss(HardTargetLoss):
        def of(self, priors):
            return priors.logits.sum(dim=2) * priors.quality

        def forward(self, logits, labels):
            raise AssertionError

    with pytest.raises(ValueError, match="set `needs_quality = True` on its class"):
        build(loss_cls={"type": Loss})(images(1), [TWO], mode="loss")


@pytest.mark.parametrize("context", ["positives", "priors", "image", "batch"])
def test_a_name_that_does_not_exist_is_an_attribute_error(context):
    class Loss(PositiveLoss):
        def of(self, positives):
            return positives.target_delta if context == "positives" else positives.labels.float()

    class ClassLoss(ClassificationLoss):
        def of(self, priors):
            return priors.label if context == "priors" else priors.logits.sum(dim=2)

    class Assigner(ImageAssigner):
        def match(self, batch):
            return batch.prior if context == "batch" else super().match(batch)

        def assign(self, image):
            return image.ignore if context == "image" else torch.zeros(PRIORS, dtype=torch.int64)

    model = build(loss_bbox={"type": Loss}, loss_cls={"type": ClassLoss}, assigner={"type": Assigner})
    with pytest.raises(AttributeError):
        model(images(1), [TWO], mode="loss")


def test_config_stays_as_it_is():
    cfg = config()
    with torch.device("meta"):
        MODELS.build(cfg, where="model")
    assert cfg == CONFIG


def test_model_is_in_channels_last(model):
    assert model.bbox_head.conv_cls.weight.is_contiguous(memory_format=torch.channels_last)


def test_frozen_parts_stay_frozen_in_the_detector(model):
    model.train()
    assert not model.backbone.layer1.training
    assert not model.backbone.layer3[0].bn1.training
    assert model.neck.training
    assert not model.backbone.conv1.weight.requires_grad


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbon": {}}, "model: OneStageDetector has no key 'backbon'. Did you mean 'backbone'"),
        ({"train_cfg": {}}, "model: OneStageDetector has no key 'train_cfg'. "),
        ({"type": "RetinaNe"}, "model: no model part is called 'RetinaNe'. Did you mean 'RetinaNet'"),
        ({"neck__type": "FPM"}, "model.neck: no model part is called 'FPM'. Did you mean 'FPN'"),
        ({"neck__out_chanels": 8}, "model.neck: FPN has no key 'out_chanels'. Did you mean 'out_channels'"),
        ({"loss_cls__gama": 8}, "model.loss_cls: FocalLoss has no key 'gama'. Did you mean 'gamma'"),
        ({"normalizer": {"type": "Batch"}}, "model.normalizer: no model part is called 'Batch'. Did you mean 'Batch"),
    ],
)
def test_unknown_names(changes, message, monkeypatch):
    monkeypatch.setattr(registry, "_custom_imports", {})  # of another test
    with torch.device("meta"), pytest.raises(UnknownNameError) as caught:
        build(**changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": None}, r"model\.num_classes is not set, and no data set is there to take it from"),
        (
            {"neck__in_channels": [128, 256, 1024]},
            r"model\.neck\.in_channels is \[128, 256, 1024\] in the config, but \[128, 256, 512\] follows from the",
        ),
        ({"bbox_head__in_channels": 256}, r"model\.bbox_head\.in_channels is 256 in the config, but 16 follows from"),
        ({"bbox_head__num_priors": 3}, r"model\.bbox_head\.num_priors is 3 in the config, but 9 follows from"),
        ({"bbox_head__num_classes": 80}, r"model\.bbox_head\.num_classes is 80 in the config, but 3 follows from"),
        (
            {"anchor_generator__strides": [4, 8]},
            r"model\.anchor_generator\.strides is \[4, 8\] in the config, but \[8,",
        ),
        ({"neck": 3}, r"model\.neck: expected a dict with the key 'type', got 3"),
        ({"neck__type": None}, r"model\.neck: expected a dict with the key 'type', got {'out_channels': 16}"),
    ],
)
def test_contradictions_name_both_places(changes, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build(**changes)


def test_facts_may_be_repeated_where_they_agree():
    repeated = {
        "neck__in_channels": (128, 256, 512),
        "bbox_head__num_priors": 9,
        "anchor_generator__strides": [8, 16, 32, 64, 128],
    }
    with torch.device("meta"):
        shapes = [{name: p.shape for name, p in build(**facts).named_parameters()} for facts in ({}, repeated)]
    assert shapes[0] == shapes[1]


def test_a_backbone_need_not_know_of_pretrained_weights():
    class Plain(torch.nn.Module):
        out_channels, strides = [8], [8]

    detector = build()
    detector.backbone = Plain()
    detector.init_weights()


def test_init_weights_loads_the_backbone(tmp_path):
    reference = build()
    torch.nn.init.constant_(reference.backbone.bn1.running_mean, 0.25)
    torch.save(reference.backbone.state_dict(), tmp_path / "w.pth")
    detector = build(backbone__weights=str(tmp_path / "w.pth"))
    assert not (detector.backbone.bn1.running_mean == 0.25).any()
    detector.init_weights()
    assert (detector.backbone.bn1.running_mean == 0.25).all()


@pytest.mark.parametrize("loss_bbox", ["SmoothL1Loss", "GIoULoss", "CIoULoss"])
@pytest.mark.parametrize("samples", [[TWO, EMPTY], [ALL_IGNORED, ONE]], ids=["boxes", "crowd"])
def test_training_step_never_waits_for_the_device(loss_bbox, samples):
    """Tensors on the meta device have no values, so whatever asks for one raises."""
    model = build(loss_bbox__type=loss_bbox).to("meta")
    losses = model(images(2).to("meta"), samples, mode="loss")
    sum(losses.values()).backward()
    assert all(value.device.type == "meta" for value in losses.values())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


ONE_PRIOR = {"type": "AnchorGenerator", "octave_base_scale": 8, "scales_per_octave": 1, "ratios": [1.0]}
DISTANCES = {"anchor_generator": ONE_PRIOR, "bbox_coder": {"type": "DistancePointBBoxCoder"}}
FAMILIES = {
    "retinanet": {},
    "atss": {
        "bbox_head": {"type": "ATSSHead", "feat_channels": 16, "stacked_convs": 1},
        "anchor_generator": ONE_PRIOR,
        "loss_bbox": {"type": "GIoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "fcos": {
        "bbox_head": {"type": "FCOSHead", "feat_channels": 16, "stacked_convs": 1, "distance": "exp"},
        "anchor_generator": {"type": "PointGenerator"},
        "bbox_coder": {"type": "DistancePointBBoxCoder", "unit": "pixel"},
        "loss_bbox": {"type": "IoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "gfl": {
        "bbox_head": {"type": "GFLHead", "feat_channels": 16, "stacked_convs": 1},
        "anchor_generator": ONE_PRIOR,
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_dfl": {"type": "DistributionFocalLoss"},
        "bbox_weight": {"type": "ClassScore"},
    },
    "vfnet": {
        **DISTANCES,
        "bbox_head": {"type": "VFNetHead", "feat_channels": 16, "stacked_convs": 1},
        "loss_cls": {"type": "VarifocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_bbox_initial": {"type": "GIoULoss"},
        "bbox_weight": {"type": "SameQuality"},
    },
    **{
        f"tood, {displace}": {
            **DISTANCES,
            "bbox_head": {"type": "TOODHead", "feat_channels": 16, "stacked_convs": 2, "displace": displace},
            "loss_cls": {"type": "QualityFocalLoss"},
            "loss_bbox": {"type": "GIoULoss"},
            "quality": {"type": "TaskAlignedQuality"},
            "bbox_weight": {"type": "SameQuality"},
            "cls_mass": {"type": "SameQuality"},
            "initial": {
                "epochs": 1,
                "loss_cls": {"type": "FocalLoss"},
                "quality": None,
                "bbox_weight": {"type": "Centerness"},
                "cls_mass": None,
            },
        }
        for displace in ("distances", "corners")
    },
}


@pytest.mark.parametrize("padding", ["background", "unmatched", "ignored"])
@pytest.mark.parametrize("family", FAMILIES)
def test_training_step_of_no_family_waits_for_the_device(family, padding):
    """The matches are made on the host, so that only heads, losses and weights are asked here."""
    model = build(**FAMILIES[family], assigner={"type": "MaxIoUAssigner", "padding": padding}).to("meta")
    small = sample([[8, 8, 40, 40]], [1], img_shape=(40, 60), pad_shape=(64, 64))
    for epoch in (0, 1):
        for module in model.modules():
            if hasattr(module, "set_epoch"):
                module.set_epoch(epoch)
        model.zero_grad()
        losses = model(images(2).to("meta"), [small, TWO], mode="loss")
        sum(losses.values()).backward()
        assert all(value.device.type == "meta" for value in losses.values())
        unused = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
        assert not unused


ASSIGNERS = {
    "atss": [{"type": "ATSSAssigner"}],
    "fcos": [{"type": "FCOSAssigner"}, {"type": "FCOSAssigner", "center_sampling_radius": None}],
    "gfl": [{"type": "ATSSAssigner"}, {"type": "SimOTAAssigner"}],
    "vfnet": [{"type": "ATSSAssigner", "padding": "unmatched"}],
    "tood, distances": [{"type": "TaskAlignedAssigner", "padding": "ignored"}],
    "tood, corners": [{"type": "TaskAlignedAssigner", "topk_of": "all"}],
}
WITH_ITS_ASSIGNER = pytest.mark.parametrize(
    ("family", "assigner"), [(family, each) for family, several in ASSIGNERS.items() for each in several], ids=str
)
CASES_OF_SAMPLES = {
    "boxes": [TWO, ONE],
    "boxes_in_one": [EMPTY, TWO],
    "none": [EMPTY, EMPTY],
    "crowd": [ALL_IGNORED, ONE],
    "crowds_alone": [ALL_IGNORED, ALL_IGNORED],
    "away": [sample([[9000, 9000, 9010, 9010]], [2]), EMPTY],
    "padded": [sample([[8, 8, 40, 40]], [1], img_shape=(40, 60), pad_shape=(64, 64)), TWO],
}


def with_assigner(family, assigner):
    changes = {**FAMILIES[family], "assigner": assigner}
    if "initial" in changes:
        changes["initial"] = {**changes["initial"], "assigner": {"type": "ATSSAssigner"}}
    return build(**changes)


def set_epoch(model, epoch):
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)


@pytest.mark.parametrize("samples", CASES_OF_SAMPLES.values(), ids=CASES_OF_SAMPLES.keys())
@WITH_ITS_ASSIGNER
@pytest.mark.parametrize("deterministic", [False, True])
def test_matching_on_a_device_never_waits_for_it(family, assigner, deterministic, samples, monkeypatch):
    """Tensors on the meta device have no values: counting the positives would raise."""
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: deterministic)
    model = with_assigner(family, assigner).to("meta")
    for epoch in (0, 1):
        set_epoch(model, epoch)
        losses = model(images(2).to("meta"), samples, mode="loss")
        sum(losses.values()).backward()
        assert all(value.device.type == "meta" for value in losses.values())


@pytest.mark.parametrize("samples", CASES_OF_SAMPLES.values(), ids=CASES_OF_SAMPLES.keys())
@WITH_ITS_ASSIGNER
def test_positives_that_fill_up_change_nothing(family, assigner, samples, monkeypatch):
    """As on a device, where a limit takes the place of the number of positives."""
    model = with_assigner(family, assigner)
    exact, numbers = Matches.from_dense, []

    def from_dense(assigned, counts, most=None):
        assert most is None  # on the host
        number = len(exact(assigned, counts).prior)
        numbers.append(number)
        return exact(assigned, counts, number + 3 if sum(counts) else 0)

    for epoch in (0, 1):
        set_epoch(model, epoch)
        results = []
        for reader in (exact, from_dense):
            monkeypatch.setattr(Matches, "from_dense", reader)
            model.zero_grad()
            losses = model(images(2), samples, mode="loss")
            sum(losses.values()).backward()
            results.append((losses, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert len(numbers) == 2
    if samples is not CASES_OF_SAMPLES["away"]:
        assert (max(numbers) > 0) == any(len(s.gt_instances.bboxes) for s in samples)


class HostReads(TorchDispatchMode):
    """Counts copies to the host, which get ones in place of the values that meta tensors do not have."""

    count = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operator.overloadpacket is torch.ops.aten._to_copy and kwargs.get("device") == torch.device("cpu"):
            self.count += 1
            return torch.ones(args[0].shape, dtype=args[0].dtype)
        return operator(*args, **kwargs)


@pytest.mark.parametrize("family", FAMILIES)
def test_inference_waits_once_for_a_batch(family):
    """All else that asks for a value of a tensor on the meta device raises."""
    model = build(**FAMILIES[family]).to("meta").eval()
    samples = [sample([], [], scale_factor=(1.0, 2.0)) for _ in range(3)]
    with torch.no_grad(), HostReads() as reads:
        results = model(images(3).to("meta"), samples, mode="predict")
    assert reads.count == 1
    assert [len(result.pred_instances) for result in results] == [1, 1, 1]  # as the ones say


# Two levels: what a CPU computes in float16, or a compiler traces, takes its time.
TINY = {"backbone": {"type": TinyBackbone, "dropout": 0.0}, "neck__num_extra": 1}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_of_mixed_precision_are_those_of_float32(family, dtype):
    model = build(**FAMILIES[family], **TINY)
    for epoch in (0, 1):
        for module in model.modules():
            if hasattr(module, "set_epoch"):
                module.set_epoch(epoch)
        expected = model(images(2), [TWO, ONE], mode="loss")
        with torch.autocast("cpu", dtype=dtype):
            losses = model(images(2), [TWO, ONE], mode="loss")
        sum(losses.values()).backward()
        for name, value in losses.items():
            torch.testing.assert_close(value, expected[name], rtol=0.03, atol=0.003)
        assert all(p.grad.isfinite().all() for p in model.bbox_head.parameters() if p.grad is not None)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"tood, corners"}))
def test_losses_of_a_compiled_network_are_those_of_the_plain_one(family):
    torch.compiler.reset()  # what other families compiled counts as compiled again and again, until torch gives up
    plain, compiled = build(**FAMILIES[family], **TINY), build(**FAMILIES[family], **TINY)
    compiled.compile(backend="aot_eager")
    for epoch in (0, 1):
        for module in (*plain.modules(), *compiled.modules()):
            if hasattr(module, "set_epoch"):
                module.set_epoch(epoch)
        expected = plain(images(2), [TWO, ONE], mode="loss")
        losses = compiled(images(2), [TWO, ONE], mode="loss")
        for values in (expected, losses):
            sum(values.values()).backward()
        torch.testing.assert_close(losses, expected)
        for (name, parameter), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(other.grad, parameter.grad, rtol=1e-4, atol=1e-7, msg=name)


def test_a_network_that_gives_no_numbers_is_said():
    model = build().eval()
    with torch.no_grad():
        model.bbox_head.conv_cls.bias.fill_(torch.nan)
        data = {"inputs": [torch.zeros(3, *SIZE, dtype=torch.uint8)], "data_samples": [sample(img_path="a.png")]}
        with pytest.raises(NonFiniteDetectionError, match=r"^a\.png: the network gives numbers that are not finite"):
            model.test_step(data)


def test_what_is_found_does_not_depend_on_the_images_of_the_batch():
    """Padding to the size of another image changes an image's edges, and what group normalisation counts."""
    model = build(bbox_head__norm_cfg={"type": "GN", "num_groups": 4}, postprocess__score_thr=0.0).eval()
    with torch.no_grad():  # so that all scores are not those of the prior probability
        model.bbox_head.conv_cls.weight.mul_(100)
    generator = torch.Generator().manual_seed(0)
    sizes = [(60, 90), (128, 64), (64, 96), (130, 100)]
    pictures = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]

    def found(indices):
        with torch.no_grad():
            samples = [sample(img_shape=sizes[index]) for index in indices]
            return model.test_step({"inputs": [pictures[index] for index in indices], "data_samples": samples})

    together, mixed = found([0, 1, 2, 3]), found([3, 1, 0, 2])
    for index, (one, other) in enumerate(zip(together, [mixed[i] for i in (2, 1, 3, 0)], strict=True)):
        (alone,) = found([index])
        assert one.img_shape == sizes[index]
        for detections in (one.pred_instances, other.pred_instances):
            torch.testing.assert_close(detections.scores, alone.pred_instances.scores, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(detections.bboxes, alone.pred_instances.bboxes, rtol=1e-4, atol=1e-3)
