import pytest
import torch
from mmengine.structures import InstanceData
from torchvision.models import ResNet50_Weights, detection, resnet50
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from rdet.config import load_config
from rdet.errors import ConfigError, NonFiniteDetectionError
from rdet.models.detectors.torchvision_detector import TorchvisionDetector
from rdet.registry import MODELS
from rdet.structures import DetDataSample

SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def batch(sizes=((96, 128), (80, 64))):
    torch.manual_seed(0)
    samples = [DetDataSample(metainfo={"img_shape": size, "scale_factor": (2.0, 0.5), "img_id": 1}) for size in sizes]
    for index, sample in enumerate(samples):
        boxes = torch.tensor([[10.0, 20.0, 60.0, 70.0]])[index:]  # the second image has none
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.full((len(boxes),), 2))
    return {
        "inputs": [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes],
        "data_samples": samples,
    }


def as_given(size):
    """torchvision's own transform, told to leave an image of this size as it is."""
    return GeneralizedRCNNTransform(min(size), max(size), [0.0] * 3, [1.0] * 3, _skip_resize=True)


@pytest.mark.parametrize(
    ("model_name", "first", "options"),
    [
        (SMALL, 1, {"box_score_thresh": 0.0}),
        ("ssdlite320_mobilenet_v3_large", 1, {"score_thresh": 0.0}),
        ("fcos_resnet50_fpn", 0, {"score_thresh": 0.0}),
    ],
)
def test_losses_and_detections_are_torchvisions(model_name, first, options):
    torch.manual_seed(0)
    ours = TorchvisionDetector(model_name, options=options, num_classes=3)
    theirs = detection.__dict__[model_name](weights=None, weights_backbone=None, num_classes=3 + first, **options)
    theirs.load_state_dict(ours.detector.state_dict())
    data = batch([(96, 128)] * 2)  # torchvision pads at other places
    packed = ours.data_preprocessor(data, True)
    theirs.transform = as_given((96, 128))
    targets = [
        {"boxes": sample.gt_instances.bboxes, "labels": sample.gt_instances.labels + first}
        for sample in data["data_samples"]
    ]
    torch.manual_seed(1)
    losses = ours(**packed, mode="loss")
    torch.manual_seed(1)
    expected = theirs(list(packed["inputs"]), targets)
    assert {name.removeprefix("loss_") for name in losses} == {name.removeprefix("loss_") for name in expected}
    assert all("loss" in name for name in losses)
    for one, other in zip(losses.values(), expected.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)

    ours.eval(), theirs.eval()
    with torch.no_grad():
        found = ours.test_step(data)
        wanted = theirs(list(packed["inputs"]))
    assert sum(len(one["scores"]) for one in wanted) > 20
    for sample, one in zip(found, wanted, strict=True):
        ours_ = sample.pred_instances
        boxes = one["boxes"] / torch.tensor([2.0, 0.5, 2.0, 0.5])
        assert len(ours_) == len(boxes)
        # Of all but equal scores, the order may be another one; of all but equal boxes, another may be left.
        one_row = torch.cat([ours_.bboxes, 1000 * ours_.labels[:, None], 100 * ours_.scores[:, None]], dim=1)
        other = torch.cat([boxes, 1000 * (one["labels"][:, None] - first), 100 * one["scores"][:, None]], dim=1)
        assert torch.cdist(other, one_row, p=torch.inf).min(dim=1).values.max() < 0.2


def test_images_of_two_sizes_are_found_in_as_if_alone():
    model = TorchvisionDetector(SMALL, options={"box_score_thresh": 0.0}, num_classes=3).eval()
    with torch.no_grad():
        together = model.test_step(batch())
        alone = [model.test_step({key: [value[i]] for key, value in batch().items()})[0] for i in range(2)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.pred_instances.bboxes, other.pred_instances.bboxes)
        width, height = one.pred_instances.bboxes[:, 2:].amax(0).tolist()
        assert width <= one.img_shape[1] / 2
        assert height <= one.img_shape[0] * 2


def test_the_configs_freeze_what_torchvision_freezes(monkeypatch):
    weights = resnet50().state_dict()
    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", lambda *_, **__: weights)
    theirs = detection.fasterrcnn_resnet50_fpn(weights_backbone=ResNet50_Weights.IMAGENET1K_V1, num_classes=4)
    ours = MODELS.build(
        load_config("configs/peers/faster_rcnn_r50_fpn_1x_coco.py").model, default_args={"num_classes": 3}
    )
    ours.init_weights()
    assert {name: value.requires_grad for name, value in ours.detector.named_parameters()} == {
        name: value.requires_grad for name, value in theirs.named_parameters()
    }
    assert ours.detector.state_dict().keys() == theirs.state_dict().keys()
    for name in ("conv1.weight", "layer4.2.bn3.weight"):
        assert (ours.detector.backbone.body.state_dict()[name] == weights[name]).all()
    second = load_config("configs/peers/faster_rcnn_r50_fpn_v2_1x_coco.py").model
    assert all(value.requires_grad for value in MODELS.build(second, default_args={"num_classes": 3}).parameters())


def test_weights_of_another_number_of_classes_load_but_for_the_classes(tmp_path):
    source = TorchvisionDetector(SMALL, num_classes=90).detector
    torch.save(source.state_dict(), tmp_path / "detector.pth")
    model = TorchvisionDetector(SMALL, weights=str(tmp_path / "detector.pth"), num_classes=3)
    model.init_weights()
    assert (model.detector.rpn.head.cls_logits.weight == source.rpn.head.cls_logits.weight).all()
    assert model.detector.roi_heads.box_predictor.cls_score.out_features == 4


def test_weights_that_are_not_finite_are_no_empty_image():
    model = TorchvisionDetector(SMALL, num_classes=3).eval()
    model.detector.roi_heads.box_predictor.cls_score.weight.data.fill_(torch.nan)
    with torch.no_grad(), pytest.raises(NonFiniteDetectionError, match="cls_score"):
        model.test_step(batch())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_name": "fasterrcnn_resnet50"}, "Did you mean 'fasterrcnn_resnet50_fpn'"),
        ({"model_name": "maskrcnn_resnet50_fpn"}, "no detector"),
        ({"model_name": SMALL, "options": {"box_score_tresh": 0.1}}, "Did you mean 'box_score_thresh'"),
        ({"model_name": SMALL, "options": {"min_size": 100}}, "no 'min_size'"),
        ({"model_name": SMALL, "options": {"rpn_fg_iou_thresh": 2.0, "num_classes": 3}}, "model.options"),
        ({"model_name": SMALL, "frozen": ("backbone.bdy",)}, "backbone.body"),
    ],
)
def test_what_torchvision_would_ignore_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        TorchvisionDetector(**arguments, num_classes=3)
