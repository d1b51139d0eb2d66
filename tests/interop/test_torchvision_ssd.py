"""SSD300 beside torchvision's, with the same weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from torchvision.models import detection
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import box_iou

from rdet.errors import CheckpointError
from rdet.interop.torchvision_ssd import (
    convert_ssd_state_dict,
    load_torchvision_ssd,
    torchvision_ssd_state_dict,
)
from rdet.registry import MODELS
from rdet.structures import DetDataSample

K = 3
SIZES = [(side, side) for side in (38, 19, 10, 5, 3, 1)]


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = detection.ssd300_vgg16(weights=None, weights_backbone=None, num_classes=K + 1, topk_candidates=10**6)
    theirs.transform = GeneralizedRCNNTransform(300, 300, [0.0] * 3, [1.0] * 3, size_divisible=1, _skip_resize=True)
    for layer in theirs.head.classification_head.module_list:
        torch.nn.init.normal_(layer.weight, std=0.03)
        torch.nn.init.normal_(layer.bias, std=0.5)
    cfg = Config.fromfile("configs/_base_/models/ssd300_vgg16.py").model
    cfg.postprocess.topk_per_level = 10**6  # torchvision's limit is of a class, which its argument above lifts
    ours = MODELS.build(cfg, default_args={"num_classes": K})
    load_torchvision_ssd(ours, theirs.state_dict())
    return ours, theirs


def batch(priors):
    """Four images, and objects that no two priors overlap equally and most: torchvision takes either of those."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for count in (1, 12, 40, 0):
        corner = torch.rand(count, 2, generator=generator) * 200
        boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 99 + 4], dim=1)
        best = box_iou(boxes, priors).topk(2, dim=1).values
        boxes = boxes[best[:, 0] - best[:, 1] > 1e-4]
        sample = DetDataSample(metainfo={"img_shape": (300, 300), "scale_factor": (1.0, 1.0), "img_id": 1})
        labels = torch.randint(0, K, (len(boxes),), generator=generator)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
        samples.append(sample)
    return torch.randn(4, 3, 300, 300, generator=generator), samples


def test_priors_losses_and_detections_are_torchvisions(pair):
    ours, theirs = pair
    priors = ours.anchor_generator(SIZES)
    images, samples = batch(priors)
    assert sum(len(sample.gt_instances) for sample in samples) > 20
    maps = [torch.zeros(1, 1, *size) for size in SIZES]
    their_priors = theirs.anchor_generator(theirs.transform(list(images), None)[0], maps)[0]
    torch.testing.assert_close(priors, their_priors, rtol=0, atol=1e-4)

    theirs.train()
    with torch.no_grad():
        found = ours.train()(images, samples, mode="loss")
        targets = [{"boxes": s.gt_instances.bboxes, "labels": s.gt_instances.labels + 1} for s in samples]
        wanted = theirs(list(images), targets)
    torch.testing.assert_close(found["loss_bbox"], wanted["bbox_regression"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["loss_cls"], wanted["classification"], rtol=1e-5, atol=1e-5)

    theirs.eval()
    with torch.no_grad():
        samples = ours.eval()(images, samples, mode="predict")
        wanted = theirs(list(images))
    for sample, one in zip(samples, wanted, strict=True):
        assert len(one["scores"]) == 200
        torch.testing.assert_close(sample.pred_instances.scores, one["scores"], rtol=0, atol=1e-5)
        # Detections of all but equal scores may come in another order.
        found = sample.pred_instances
        ours_, theirs_ = (
            torch.cat([boxes, 1000 * labels[:, None], 100 * scores[:, None]], dim=1)
            for boxes, labels, scores in (
                (found.bboxes, found.labels, found.scores),
                (one["boxes"], one["labels"] - 1, one["scores"]),
            )
        )
        assert torch.cdist(theirs_, ours_, p=torch.inf).min(dim=1).values.max() < 0.01


def test_weights_go_there_and_back(pair):
    ours, theirs = pair
    there = torchvision_ssd_state_dict(ours.state_dict(), K)
    assert there.keys() == theirs.state_dict().keys()
    assert all((value == there[name]).all() for name, value in theirs.state_dict().items())
    back = convert_ssd_state_dict(there, K)
    assert all((value == back[name]).all() for name, value in ours.state_dict().items())


def test_weights_of_others_are_refused(pair):
    with pytest.raises(CheckpointError, match=r"'backbone.body.conv1' is not a weight of torchvision's SSD"):
        convert_ssd_state_dict({"backbone.body.conv1": torch.zeros(1)}, K)
    with pytest.raises(CheckpointError, match="16 outputs, which are not those of 4 classes"):
        convert_ssd_state_dict({"head.classification_head.module_list.0.bias": torch.zeros(16)}, 4)
