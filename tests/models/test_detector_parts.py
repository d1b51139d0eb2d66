"""How a detector is assembled from a config, and what it refuses."""

import pytest
import torch
from small_detector import CONFIG, PRIORS, TWO, build, config, images

from rdet.models.assigners.base import ImageAssigner
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.losses.base import ClassificationLoss, HardTargetLoss, PositiveLoss
from rdet.registry import MODELS, UnknownNameError


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neck__num_extra": -1}, "neck.num_extra is -1; it must be a whole number of 0 or more"),
        ({"anchor_generator__scales_per_octave": 0}, "scales_per_octave is 0; it must be a whole number of 1 or more"),
        ({"bbox_coder__target_stds": [1.0, 1.0]}, r"bbox_coder.target_stds is \(1.0, 1.0\); give 4 numbers"),
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


def test_parts_get_the_facts_that_follow_from_others():
    detector = build(
        backbone={"type": "ResNet", "depth": 50, "out_indices": (2, 3)},
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbon": {}}, "model: OneStageDetector has no key 'backbon'. Did you mean 'backbone'"),
        ({"train_cfg": {}}, "model: OneStageDetector has no key 'train_cfg'. "),
        ({"type": "RetinaNe"}, "model: no model part is called 'RetinaNe'. Did you mean 'RetinaNet'"),
        ({"neck__type": "FPM"}, "model.neck: no model part is called 'FPM'. Did you mean 'FPN'"),
        ({"neck__out_chanels": 8}, "model.neck: FPN has no key 'out_chanels'. Did you mean 'out_channels'"),
        ({"loss_cls__gama": 8}, "model.loss_cls: FocalLoss has no key 'gama'. Did you mean 'gamma'"),
        (
            {"normalizer": {"type": "Batch"}},
            "model.normalizer: no model part is called 'Batch'. Did you mean 'RandomBatch",
        ),
    ],
)
@pytest.mark.usefixtures("no_custom_imports")
def test_unknown_names(changes, message):
    with torch.device("meta"), pytest.raises(UnknownNameError) as caught:
        build(**changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": None}, r"model\.num_classes is not set, and no data set is there to take it from"),
        (
            {"neck__in_channels": [16, 16, 32]},
            r"model\.neck\.in_channels is \[16, 16, 32\] in the config, but \[16, 16, 16\] follows from the",
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
        "neck__in_channels": (16, 16, 16),
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
    torch.nn.init.constant_(reference.backbone.stem[1].running_mean, 0.25)
    torch.save(reference.backbone.state_dict(), tmp_path / "w.pth")
    detector = build(backbone__weights=str(tmp_path / "w.pth"))
    assert not (detector.backbone.stem[1].running_mean == 0.25).any()
    detector.init_weights()
    assert (detector.backbone.stem[1].running_mean == 0.25).all()
