"""SSD300 and SSDLite320 beside torchvision's, with the same weights."""

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
from rdet.interop.torchvision_ssdlite import (
    convert_ssdlite_state_dict,
    load_torchvision_ssdlite,
    torchvision_ssdlite_state_dict,
)
from rdet.registry import MODELS
from rdet.structures import DetDataSample

K = 3
FAMILIES = {
    "ssd300_vgg16": (
        (38, 19, 10, 5, 3, 1),
        (load_torchvision_ssd, torchvision_ssd_state_dict, convert_ssd_state_dict),
    ),
    "ssdlite320_mobilenet_v3_large": (
        (20, 10, 5, 3, 2, 1),
        (load_torchvision_ssdlite, torchvision_ssdlite_state_dict, convert_ssdlite_state_dict),
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request):
    torch.manual_seed(0)
    name = request.param
    theirs = getattr(detection, name)(
        weights=None, weights_backbone=None, num_classes=K + 1, topk_candidates=10**6, detections_per_img=200
    )
    side = theirs.transform.fixed_size[0]
    theirs.transform = GeneralizedRCNNTransform(side, side, [0.0] * 3, [1.0] * 3, size_divisible=1, _skip_resize=True)
    for layer in theirs.head.classification_head.module_list:
        last = layer if isinstance(layer, torch.nn.Conv2d) else layer[-1]
        torch.nn.init.normal_(last.weight, std=0.03)
        torch.nn.init.normal_(last.bias, std=0.5)
    norms = [module for module in theirs.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    if norms:  # with statistics of their own maps, or all places would have the same scores
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            theirs.train().head(list(theirs.backbone(torch.randn(4, 3, side, side)).values()))
        for norm in norms:
            norm.momentum = 0.03
    cfg = Config.fromfile(f"configs/_base_/models/{name}.py").model
    cfg.postprocess.topk_per_level = 10**6  # torchvision's limit is of a class, which its argument above lifts
    cfg.postprocess.max_per_img = 200
    ours = MODELS.build(cfg, default_args={"num_classes": K})
    sizes, (load, *ways) = FAMILIES[name]
    load(ours, theirs.state_dict())
    return ours, theirs, [(cells, cells) for cells in sizes], ways


def batch(priors, side):
    """Four images, and objects that no two priors overlap equally and most: torchvision takes either of those."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for count in (1, 12, 40, 0):
        corner = torch.rand(count, 2, generator=generator) * side * 2 / 3
        boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 99 + 4], dim=1)
        best = box_iou(boxes, priors).topk(2, dim=1).values
        boxes = boxes[best[:, 0] - best[:, 1] > 1e-4]
        sample = DetDataSample(metainfo={"img_shape": (side, side), "scale_factor": (1.0, 1.0), "img_id": 1})
        labels = torch.randint(0, K, (len(boxes),), generator=generator)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
        samples.append(sample)
    return torch.randn(4, 3, side, side, generator=generator), samples


def test_priors_losses_and_detections_are_torchvisions(pair):
    ours, theirs, sizes, _ = pair
    priors = ours.anchor_generator(sizes)
    images, samples = batch(priors, theirs.transform.min_size[0])
    assert sum(len(sample.gt_instances) for sample in samples) > 20
    maps = [torch.zeros(1, 1, *size) for size in sizes]
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
    ours, theirs, _, (to_torchvision, from_torchvision) = pair
    there = to_torchvision(ours.state_dict(), K)
    assert there.keys() == theirs.state_dict().keys()
    # Both may have gone through a step: statistics differ by rounding.
    torch.testing.assert_close(there, dict(theirs.state_dict()), rtol=1e-5, atol=1e-6)
    back = from_torchvision(there, K)
    assert all((value == back[name]).all() for name, value in ours.state_dict().items())


def test_weights_of_others_are_refused():
    with pytest.raises(CheckpointError, match=r"'backbone.body.conv1' is not a weight of torchvision's SSD"):
        convert_ssd_state_dict({"backbone.body.conv1": torch.zeros(1)}, K)
    with pytest.raises(CheckpointError, match=r"'backbone.body.conv1' is not a weight of torchvision's SSDLite"):
        convert_ssdlite_state_dict({"backbone.body.conv1": torch.zeros(1)}, K)
    with pytest.raises(CheckpointError, match="16 outputs, which are not those of 4 classes"):
        convert_ssd_state_dict({"head.classification_head.module_list.0.bias": torch.zeros(16)}, 4)
