"""The same weights give the same numbers in torchvision and in rdet."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import (
    backbone_utils,
    fcos_resnet50_fpn,
    retinanet,
    retinanet_resnet50_fpn,
    retinanet_resnet50_fpn_v2,
)
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from rdet.config import load_config
from rdet.interop.torchvision import (
    convert_fcos_state_dict,
    convert_retinanet_state_dict,
    load_torchvision_fcos,
    load_torchvision_retinanet,
)
from rdet.registry import MODELS
from rdet.structures import DetDataSample

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
COCO_MINI = ROOT.parent / "shared" / "data" / "coco_mini"
SHORT_SIDE = 224  # no multiple of 128, so that torchvision's steps between anchors are not the strides

_SIZE = {"weights": None, "weights_backbone": None, "min_size": SHORT_SIDE, "max_size": 1000}


class Case(NamedTuple):
    """One of torchvision's detectors and how its outputs shall spread: last layer -> mean, standard deviation."""

    make: Callable
    config: str
    load: Callable
    norm_eps: float  # as torchvision sets it for the released weights
    classification: dict
    regression: dict
    losses: dict  # rdet's name -> torchvision's


DELTAS = {"cls_logits": (-4.0, 1.0)}, {"bbox_reg": (0.0, 0.2)}
LOSSES = {"loss_cls": "classification", "loss_bbox": "bbox_regression"}
CASES = {
    "retinanet": Case(
        partial(retinanet_resnet50_fpn, **_SIZE),
        "retinanet/r50_fpn_torchvision.py",
        load_torchvision_retinanet,
        0.0,
        *DELTAS,
        LOSSES,
    ),
    "retinanet_v2": Case(
        partial(retinanet_resnet50_fpn_v2, **_SIZE),
        "retinanet/r50_fpn_v2_torchvision.py",
        load_torchvision_retinanet,
        1e-5,
        *DELTAS,
        LOSSES,
    ),
    "fcos": Case(
        partial(fcos_resnet50_fpn, **_SIZE),
        "fcos/r50_fpn_torchvision.py",
        load_torchvision_fcos,
        1e-5,
        {"cls_logits": (-4.0, 1.0)},
        {"bbox_reg": (2.0, 1.5), "bbox_ctrness": (0.0, 1.5)},  # strides; the ReLU cuts one in ten
        {**LOSSES, "loss_quality": "bbox_ctrness"},
    ),
}


def build(config: str = CASES["retinanet"].config, **options):
    cfg = load_config(CONFIGS / config, {"model.backbone.weights": None, **options})
    return MODELS.build(cfg.model, where="model").eval()


@pytest.fixture(scope="module", params=CASES)
def networks(request):
    """A case, torchvision's detector with random weights whose scores spread over (0, 1), and rdet's with the same."""
    case = CASES[request.param]
    torch.manual_seed(0)
    theirs = case.make().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = case.norm_eps
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    with torch.no_grad():
        image = theirs.transform([generated_images()[0]])[0].tensors
        levels = list(theirs.backbone(image).values())
        for head, outputs in (
            (theirs.head.classification_head, case.classification),
            (theirs.head.regression_head, case.regression),
        ):
            for (
                layer
            ) in head.conv.modules():  # as initialised, subnets without a norm shrink their input a thousandfold
                if isinstance(layer, nn.Conv2d):
                    layer.weight *= 10
            for name, (mean, std) in outputs.items():
                last = getattr(head, name)
                values = torch.cat([last(head.conv(level)).flatten(2) for level in levels], dim=2)[
                    0
                ]  # (channels, cells)
                scale = std / values.std(dim=1)
                last.weight *= scale[:, None, None, None]
                last.bias.copy_(mean - scale * (values.mean(dim=1) - last.bias))
    ours = build(case.config)
    case.load(ours, theirs.state_dict())
    return case, theirs, ours


def generated_images() -> list[torch.Tensor]:
    """Two smooth images (3, H, W) of different shapes, RGB in 0..1 with 8 bits."""
    rng = np.random.default_rng(0)
    sizes = ((SHORT_SIDE, 270), (250, SHORT_SIDE))
    images = [cv2.resize(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8), (w, h)) for h, w in sizes]
    return [torch.from_numpy(image).permute(2, 0, 1) / 255 for image in images]


def generated_case():
    boxes = [torch.tensor([[10.0, 20, 90, 160], [100, 30, 270, 224], [40, 40, 52, 60]]), torch.zeros(0, 4)]
    return generated_images(), boxes, [torch.tensor([3, 90, 1]), torch.zeros(0, dtype=torch.int64)]


def real_case():
    if not COCO_MINI.is_dir():
        pytest.skip("no shared data")
    content = json.loads((COCO_MINI / "annotations" / "instances_train2017.json").read_text())
    images, boxes, labels = [], [], []
    for image_id in (790, 8193):
        (entry,) = (entry for entry in content["images"] if entry["id"] == image_id)
        image = cv2.imread(str(COCO_MINI / "train2017" / entry["file_name"]))[:, :, ::-1]
        scale = SHORT_SIDE / min(image.shape[:2])
        image = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
        truth = [a for a in content["annotations"] if a["image_id"] == image_id and not a["iscrowd"]]
        xywh = torch.tensor([a["bbox"] for a in truth]) * scale
        images.append(torch.from_numpy(image).permute(2, 0, 1) / 255)
        boxes.append(torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1))
        labels.append(torch.tensor([a["category_id"] for a in truth]))
    return images, boxes, labels


@pytest.mark.parametrize("data", [generated_case, real_case])
def test_outputs_losses_and_detections_are_torchvisions(networks, data):
    case, theirs, ours = networks
    images, boxes, labels = data()
    samples = []
    for image, box, label in zip(images, boxes, labels, strict=True):
        samples.append(DetDataSample(metainfo={"img_shape": tuple(image.shape[1:]), "scale_factor": (1.0, 1.0)}))
        samples[-1].gt_instances = InstanceData(bboxes=box, labels=label)
        samples[-1].ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))

    with torch.no_grad():
        batch, _ = theirs.transform(images)
        uint8 = [(image * 255).round().to(torch.uint8).flip(0) for image in images]  # BGR, as images are loaded
        torch.testing.assert_close(
            ours.data_preprocessor({"inputs": uint8})["inputs"], batch.tensors, atol=1e-5, rtol=0
        )

        outputs, features, expected_detections = run(theirs, images)
        predictions = ours(batch.tensors)
        torch.testing.assert_close(predictions.logits, outputs["cls_logits"], atol=1e-4, rtol=0)
        torch.testing.assert_close(predictions.deltas, outputs["bbox_regression"], atol=1e-4, rtol=0)
        if "bbox_ctrness" in outputs:
            expected = outputs["bbox_ctrness"].squeeze(2)
            torch.testing.assert_close(predictions.quality_logits, expected, atol=1e-4, rtol=0)
        assert predictions.level_sizes == [tuple(x.shape[-2:]) for x in features]

        anchors = theirs.anchor_generator(batch, features)
        priors = ours.anchor_generator(predictions.level_sizes)
        assert torch.equal(priors, anchors[0])
        targets = [{"boxes": box, "labels": label} for box, label in zip(boxes, labels, strict=True)]
        lengths = [predictions.level_lengths] if "bbox_ctrness" in outputs else []
        expected = theirs.compute_loss(targets, outputs, anchors, *lengths)
        losses = ours.loss(predictions, priors, samples)
        assert losses.keys() == case.losses.keys()
        for name, loss in losses.items():
            assert loss > 0
            torch.testing.assert_close(loss, expected[case.losses[name]], rtol=1e-5, atol=0)

        for sample, detections in zip(ours.predict(predictions, priors, samples), expected_detections, strict=True):
            instances = sample.pred_instances
            assert len(instances) == len(detections["boxes"]) >= 100
            order = match(instances, detections)
            assert sorted(order.tolist()) == list(range(len(order)))
            torch.testing.assert_close(instances.bboxes[order], detections["boxes"], atol=0.01, rtol=0)
            torch.testing.assert_close(instances.scores[order], detections["scores"], atol=1e-4, rtol=0)
            assert instances.labels[order].tolist() == detections["labels"].tolist()


def run(theirs: nn.Module, images: list[torch.Tensor]) -> tuple[dict, list[torch.Tensor], list[dict]]:
    """Outputs and inputs of torchvision's heads, and its detections."""
    calls = []
    hook = theirs.head.register_forward_hook(lambda _, args, outputs: calls.append((outputs, args[0])))
    detections = theirs(images)
    hook.remove()
    return *calls[0], detections


def match(ours: InstanceData, theirs: dict) -> torch.Tensor:
    """Index in ours of each of theirs: scores that are equal up to rounding may come in another order."""
    distance = (ours.bboxes[None] - theirs["boxes"][:, None]).abs().amax(dim=-1)
    return (distance + 1e4 * (ours.labels[None] != theirs["labels"][:, None])).argmin(dim=1)


def old_names(state: dict) -> dict:
    """Renames as in the released `retinanet_resnet50_fpn_coco-eeacb38b.pth`, which has no batch counters either."""
    old = {}
    for name, value in state.items():
        name = re.sub(r"(inner_blocks|layer_blocks)\.(\d)\.0\.", r"\1.\2.", name)
        name = re.sub(r"_head\.conv\.(\d)\.0\.", lambda m: f"_head.conv.{2 * int(m[1])}.", name)
        if not name.endswith("num_batches_tracked"):
            old[name] = value
    return old


@pytest.mark.parametrize("networks", ["retinanet"], indirect=True)
def test_old_names_from_a_file(networks, tmp_path):
    _, theirs, ours = networks
    state = old_names(theirs.state_dict())
    assert "head.regression_head.conv.6.bias" in state
    assert "backbone.fpn.layer_blocks.2.weight" in state
    torch.save(state, tmp_path / "old.pth")
    again = build()
    load_torchvision_retinanet(again, tmp_path / "old.pth")
    for name, value in ours.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)


def their_resnet(depth: int) -> nn.Module:
    backbone = backbone_utils._resnet_fpn_extractor(
        getattr(resnet, f"resnet{depth}")(), 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)
    )
    return retinanet.RetinaNet(backbone, num_classes=91)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (partial(their_resnet, 18), {"model.backbone.depth": 18}),
        (partial(their_resnet, 101), {"model.backbone.depth": 101}),
    ],
    ids=["resnet18", "resnet101"],
)
def test_names_and_shapes_of_other_variants(make, options):
    with torch.device("meta"):
        state, model = make().state_dict(), build(**options)
    converted = {name: value.shape for name, value in convert_retinanet_state_dict(state).items()}
    assert converted == {name: value.shape for name, value in model.state_dict().items()}


@pytest.mark.parametrize("convert", [convert_retinanet_state_dict, convert_fcos_state_dict])
def test_empty_state(convert):
    assert convert({}) == {}


@pytest.mark.parametrize(
    ("convert", "architecture", "name"),
    [
        (convert_retinanet_state_dict, "RetinaNet", "backbone.fpn.inner_blocks.0.1.weight"),
        (convert_retinanet_state_dict, "RetinaNet", "rpn.head.conv.weight"),
        (convert_retinanet_state_dict, "RetinaNet", "head.conv.0.weight"),
        (convert_retinanet_state_dict, "RetinaNet", "head.regression_head.bbox_ctrness.weight"),
        (convert_fcos_state_dict, "FCOS", "head.regression_head.conv.2.weight"),  # a ReLU
        (convert_fcos_state_dict, "FCOS", "roi_heads.box_head.fc6.weight"),
    ],
)
def test_foreign_name_is_an_error(convert, architecture, name):
    with pytest.raises(ValueError, match=f"'{re.escape(name)}' is not a weight of torchvision's {architecture}"):
        convert({name: torch.zeros(1)})


def test_weights_of_the_other_architecture_are_an_error():
    with torch.device("meta"):
        state, model = CASES["fcos"].make().state_dict(), build()
    with pytest.raises(ValueError, match=r"'head\.regression_head\.bbox_ctrness\.weight' is not a weight"):
        load_torchvision_retinanet(model, state)
    with pytest.raises(ValueError, match=r"missing|unexpected|of another shape"):
        load_torchvision_fcos(model, state)


@pytest.mark.parametrize("networks", ["retinanet"], indirect=True)
def test_another_number_of_classes_is_an_error(networks):
    with torch.device("meta"):
        model = build(**{"model.num_classes": 80})
    with pytest.raises(ValueError, match=r"2 of another shape, as \(819, 256, 3, 3\) for \(720, 256, 3, 3\)"):
        load_torchvision_retinanet(model, networks[1].state_dict())
