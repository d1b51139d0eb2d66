"""A detector is recognised by the names and shapes of its weights."""

import pytest
import torch
from interop.mmdet_states import FAMILIES, shapes

from rdet.architecture import architecture_of
from rdet.backbone_of_weights import resnet_of


def tensors(of):
    return {name: torch.empty(shape, device="meta") for name, shape in of.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("classes", [1, 80])
def test_family_and_classes(family, classes):
    found = architecture_of(tensors(shapes(family, 18, classes=classes, width=48)))
    assert (found.family, found.backbone.name, found.num_classes, found.mmdet) == (family, "ResNet-18", classes, True)
    assert found.num_priors == (9 if family == "RetinaNet" else 1)
    assert found.head_norm == (None if family == "RetinaNet" else "GN")
    assert found.stacked_convs == {"VFNet": 3, "TOOD": 6}.get(family, 4)
    assert (found.feat_channels, found.neck.channels) == (48, 48)
    assert found.reg_max == (16 if family == "GFL" else None)
    assert found.options == {
        "model.backbone.depth": 18,
        "model.neck.out_channels": 48,
        "model.bbox_head.feat_channels": 48,
    }


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ((18,), "ResNet-18"),
        ((34,), "ResNet-34"),
        ((50,), "ResNet-50"),
        ((101,), "ResNet-101"),
        ((101, 32, 4), "ResNeXt-101-32x4d"),
        ((101, 64, 4), "ResNeXt-101-64x4d"),
        ((50, 32, 8), "ResNeXt-50-32x8d"),
    ],
)
def test_backbone(network, name):
    weights = tensors(shapes("GFL", *network))
    depth, groups, base_width = [*network, 1, 64][: 3 if len(network) == 1 else None][:3]
    assert resnet_of(weights) == (depth, groups, base_width)
    assert str(architecture_of(weights)) == f"GFL with {name}, group normalisation in the head, 80 classes"


def test_advice_names_the_config_and_what_to_change_in_it():
    assert architecture_of(tensors(shapes("GFL", 101))).advice == (
        "GFL with ResNet-101, group normalisation in the head, 80 classes; it goes with "
        "configs/gfl/r50_fpn_1x_coco_mmdet.py and --cfg-options model.backbone.depth=101"
    )
    assert architecture_of(tensors(shapes("RetinaNet", classes=3))).advice == (
        "RetinaNet with ResNet-50, no normalisation in the head, 3 classes; it goes with "
        "configs/retinanet/r50_fpn_1x_coco_mmdet.py"
    )


def test_second_head_of_fcos_has_a_bias():
    assert architecture_of(tensors(shapes("FCOS", bias=True))).head_bias
    assert not architecture_of(tensors(shapes("FCOS"))).head_bias


def test_the_first_head_of_fcos_has_a_config_of_its_own():
    for bias, name in ((False, "r50_fpn_iccv2019_1x_coco_mmdet.py"), (True, "r50_fpn_1x_coco_mmdet.py")):
        found = architecture_of(tensors(shapes("FCOS", bias=bias)))
        assert found.config == f"configs/fcos/{name}"


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {},
        lambda state: {name: value for name, value in state.items() if "layer4" not in name},
        lambda state: {name: value for name, value in state.items() if "gfl_reg" not in name},
        lambda state: {name.replace("gfl_cls", "yolo_cls"): value for name, value in state.items()},
        lambda state: {**state, "bbox_head.gfl_cls.weight": torch.zeros(3)},
    ],
    ids=["empty", "three stages", "no boxes", "no class layer", "no convolution"],
)
def test_others_are_not_recognised(change):
    assert architecture_of(change(tensors(shapes("GFL", 18)))) is None
