"""MMDetection's weights become rdet's, and back."""

import re

import pytest
import torch
from mmdet_states import FAMILIES, shapes, weights

from rdet.errors import CheckpointError, UnknownNameError
from rdet.interop.mmdetection import from_mmdetection, to_mmdetection
from rdet.interop.model_config import mmdetection_config
from rdet.registry import MODELS


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", [18, 50])
def test_there_and_back_is_the_identity(family, depth):
    state = weights(shapes(family, depth, classes=5, width=48))
    converted, architecture = from_mmdetection(state)
    back = to_mmdetection(converted, architecture.family)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())
    # GFL's constant is no weight, and DDOD's counts are not stored there.
    assert len(converted) == len(state) - (family == "GFL") + (family == "DDOD")
    counts = converted.pop("criterion.level_weight.counts", None)
    assert (None if counts is None else counts.tolist()) == ([0] * 5 if family == "DDOD" else None)
    turned = {name for name in converted if "conv_offset.2" in name}
    unchanged = {value.data_ptr() for name, value in converted.items() if name not in turned}
    assert unchanged <= {value.data_ptr() for value in state.values()}


def test_ddod_without_deformable_convolutions_has_the_head_of_atss():
    state = weights({name: shape for name, shape in shapes("DDOD", 18).items() if "conv_offset" not in name})
    converted, architecture = from_mmdetection(state)
    cfg = mmdetection_config(architecture, {}, "pytorch")
    with torch.device("meta"):
        model = MODELS.build(cfg.model, default_args={"num_classes": 80}, where="model")
    assert {name for name in model.state_dict() if "num_batches" not in name} <= set(converted)
    assert model.bbox_head.__class__.__name__ == "ATSSHead"


@pytest.mark.parametrize(
    ("family", "theirs", "ours"),
    [
        ("RetinaNet", "backbone.layer3.1.conv2.weight", "backbone.layer3.1.conv2.weight"),
        ("RetinaNet", "backbone.layer2.0.downsample.1.running_var", "backbone.layer2.0.downsample.1.running_var"),
        ("RetinaNet", "neck.lateral_convs.2.conv.bias", "neck.lateral_convs.2.bias"),
        ("RetinaNet", "neck.fpn_convs.2.conv.weight", "neck.fpn_convs.2.weight"),
        ("RetinaNet", "neck.fpn_convs.3.conv.weight", "neck.extra_convs.0.weight"),
        ("RetinaNet", "neck.fpn_convs.4.conv.bias", "neck.extra_convs.1.bias"),
        ("RetinaNet", "bbox_head.reg_convs.3.conv.bias", "bbox_head.reg_convs.3.conv.bias"),
        ("RetinaNet", "bbox_head.retina_cls.weight", "bbox_head.conv_cls.weight"),
        ("FCOS", "bbox_head.conv_centerness.bias", "bbox_head.conv_quality.bias"),
        ("FCOS", "bbox_head.scales.4.scale", "bbox_head.scales.4.scale"),
        ("ATSS", "bbox_head.cls_convs.0.gn.weight", "bbox_head.cls_convs.0.gn.weight"),
        ("ATSS", "bbox_head.atss_centerness.weight", "bbox_head.conv_quality.weight"),
        ("DDOD", "bbox_head.atss_iou.bias", "bbox_head.conv_quality.bias"),
        ("DDOD", "bbox_head.reg_convs.0.conv.conv_offset.weight", "bbox_head.reg_convs.0.conv.conv_offset.weight"),
        ("GFL", "bbox_head.gfl_reg.weight", "bbox_head.conv_reg.weight"),
        ("VFNet", "bbox_head.vfnet_reg_conv.gn.bias", "bbox_head.reg_conv.gn.bias"),
        ("VFNet", "bbox_head.vfnet_reg_refine_dconv.weight", "bbox_head.reg_star_conv.weight"),
        ("VFNet", "bbox_head.vfnet_reg_refine.bias", "bbox_head.conv_refine.bias"),
        ("VFNet", "bbox_head.vfnet_cls_dconv.weight", "bbox_head.cls_star_conv.weight"),
        ("VFNet", "bbox_head.scales_refine.0.scale", "bbox_head.refine_scales.0.scale"),
        ("TOOD", "bbox_head.inter_convs.5.conv.weight", "bbox_head.shared_convs.5.conv.weight"),
        ("TOOD", "bbox_head.cls_decomp.layer_attention.2.bias", "bbox_head.cls_decomposition.attention.2.bias"),
        ("TOOD", "bbox_head.reg_decomp.reduction_conv.gn.weight", "bbox_head.reg_decomposition.mix.gn.weight"),
        ("TOOD", "bbox_head.cls_prob_module.2.weight", "bbox_head.conv_alignment.2.weight"),
        ("TOOD", "bbox_head.reg_offset_module.0.bias", "bbox_head.conv_offset.0.bias"),
    ],
)
def test_names(family, theirs, ours):
    state = weights(shapes(family, 18, classes=2, width=48))
    assert from_mmdetection(state)[0][ours] is state[theirs]


def test_offsets_of_tood_are_x_before_y():
    state = weights(shapes("TOOD", 18, classes=2, width=48))
    state["bbox_head.reg_offset_module.2.bias"] = torch.arange(8.0)
    converted, _ = from_mmdetection(state)
    assert converted["bbox_head.conv_offset.2.bias"].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    theirs = state["bbox_head.reg_offset_module.2.weight"]
    assert torch.equal(converted["bbox_head.conv_offset.2.weight"], theirs[[1, 0, 3, 2, 5, 4, 7, 6]])


def test_names_of_fcos_before_release_2():
    state = weights(shapes("FCOS", 18, classes=2, width=48))
    old = {re.sub(r"\.conv_(cls|reg|centerness)\.", r".fcos_\1.", name): value for name, value in state.items()}
    assert "bbox_head.fcos_centerness.weight" in old
    converted, architecture = from_mmdetection(old)
    assert architecture.family == "FCOS"
    assert all(torch.equal(value, converted[name]) for name, value in from_mmdetection(state)[0].items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("backbone.layers.0.weight", "has no backbone.layers.0.weight"),
        ("bbox_head.mask_convs.0.weight", "has no bbox_head.mask_convs.0.weight"),
        ("roi_head.bbox_head.fc_cls.weight", "has no roi_head.bbox_head.fc_cls.weight"),
        ("neck.bottom_up_convs.0.conv.weight", "has no neck.bottom_up_convs.0.conv.weight"),
    ],
)
def test_a_weight_without_a_place_is_one_error(name, message):
    state = {**weights(shapes("GFL", 18, classes=2, width=48)), name: torch.zeros(1)}
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        from_mmdetection(state)
    assert "rdet's GFL with ResNet-18" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_detectors_are_one_error():
    with pytest.raises(CheckpointError, match=r"not weights of MMDetection.*\(the names are a\.b\)"):
        from_mmdetection({"a.b": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"\(the names are \)"):
        from_mmdetection({})


def test_a_family_that_does_not_exist():
    with pytest.raises(
        UnknownNameError, match=r"^no family is called 'atss'\. Did you mean 'ATSS'.* Valid: ATSS, DDOD, FCOS"
    ):
        to_mmdetection({}, "atss")
