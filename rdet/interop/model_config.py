"""The config that gives a foreign detector's outputs."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from rdet.architecture import Architecture
from rdet.backbone_of_weights import BackboneOfWeights
from rdet.config import load_config
from rdet.config_files import CONFIGS
from rdet.errors import CheckpointError
from rdet.interop.mmdet_config.backbones import DILATED, DILATIONS, STRIDES
from rdet.neck_of_weights import NeckOfWeights

# What a network expects of its input: mean and deviation of the channels in its order, and whether that is RGB.
_RGB = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}
_BGR = {"mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False}
_BGR_SCALED = {"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395], "bgr_to_rgb": False}
_BGR_OF_DETECTRON = {"mean": [102.9801, 115.9465, 122.7717], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False}
# Switches of FCOS's head in MMDetection, off at first, on in its released second version.
_SECOND_FCOS = ("norm_on_bbox", "centerness_on_reg", "center_sampling")
_FIRST_FCOS_CONFIG = "configs/fcos/r50_fpn_iccv2019_1x_coco_mmdet.py"
_PAA_CONFIG = "configs/paa/r50_fpn_1x_coco_mmdet.py"
_GHM_CONFIG = "configs/ghm/r50_fpn_1x_coco_mmdet.py"
_SECOND_FCOS_CONFIG = "configs/fcos/r50_fpn_1x_coco_mmdet.py"


def mmdetection_config(architecture: Architecture, source: Mapping[str, Any], style: str) -> Config:
    """Make the config of a detector of MMDetection.

    Args:
        architecture: What the weights are of.
        source: The detector's own config; it may be empty.
        style: ``'pytorch'`` or ``'caffe'``, the kind of backbone, where ``source`` does not say it.

    Raises:
        CheckpointError: ``source`` says what rdet does not have.
    """
    model = source.get("model") or {}
    head = model.get("bbox_head") or {}
    backbone = model.get("backbone") or {}
    style = backbone.get("style", style)
    path, options = architecture.config, dict(architecture.options)
    if architecture.backbone.kind == "ResNet":
        options |= _backbone(style) | _dilated(backbone)
    else:
        options |= _others(architecture.backbone, backbone)
    if architecture.family == "FCOS":
        # Of the released heads, the second has a bias beside the normalisation.
        head = head or dict.fromkeys(_SECOND_FCOS, architecture.head_bias)
        path = _SECOND_FCOS_CONFIG if head.get("norm_on_bbox") else _FIRST_FCOS_CONFIG
        options |= _fcos(head, architecture.head_bias)
    if head.get("type") == "PAAHead":  # its weights have ATSS's names and shapes
        path = _PAA_CONFIG
    if (head.get("loss_cls") or {}).get("type") == "GHMC":
        path = _GHM_CONFIG
        options |= _ghm(head)
    if head.get("anchor_type") == "anchor_based":
        options |= _tood_on_anchors(head)
    options |= input_options(
        input_of(source) or _usual_input(architecture.backbone.kind, style, path == _FIRST_FCOS_CONFIG)
    )
    options |= _neck(architecture.neck, model.get("neck") or {}) | _anchors(architecture.family, head)
    options |= postprocess_options(model.get("test_cfg") or source.get("test_cfg") or {})
    cfg = config_of_repository(path, options)
    if architecture.neck.dyhead_blocks:
        cfg.model.neck = {
            "type": "NeckChain",
            "necks": [cfg.model.neck, {"type": "DyHead", "num_blocks": architecture.neck.dyhead_blocks}],
        }
    return cfg


def detectron2_config(
    architecture: Architecture, statistics: tuple[list[float], list[float]] | None, style: str = "caffe"
) -> Config:
    """Make the config of Detectron2's RetinaNet: the paper's numbers, a caffe backbone, its own losses.

    Args:
        architecture: What the weights are of.
        statistics: Mean and deviation of the channels, BGR, where the weights say them.
        style: Its zoo's backbones are ``'caffe'``.
    """
    mean, std = statistics or (_BGR["mean"], _BGR["std"])
    options = (
        dict(architecture.options) | _backbone(style) | input_options({"mean": mean, "std": std, "bgr_to_rgb": False})
    )
    options["model.loss_bbox"] = {"_delete_": True, "type": "SmoothL1Loss", "beta": 0.1}
    options["model.normalizer"] = {"_delete_": True, "type": "EMANormalizer"}
    return config_of_repository("configs/retinanet/r50_fpn_1x_coco.py", options)


def torchvision_config(name: str) -> Config:
    """Make the config of torchvision's ``'retinanet'``, ``'retinanet_v2'`` or ``'fcos'``."""
    path = {
        "retinanet": "configs/retinanet/r50_fpn_torchvision.py",
        "retinanet_v2": "configs/retinanet/r50_fpn_v2_torchvision.py",
        "fcos": "configs/fcos/r50_fpn_torchvision.py",
    }[name]
    return config_of_repository(path, {"model.backbone.weights": None})


def config_of_repository(path: str, options: dict[str, Any]) -> Config:
    """Load a config by its path below the repository's folder, changed by ``options``: dotted key -> value."""
    return load_config(CONFIGS / path.removeprefix("configs/"), options)


def _backbone(style: str) -> dict[str, Any]:
    """Return the options of a backbone; all are said, since the config that they change may be of either style."""
    return {
        "model.backbone.weights": None,
        "model.backbone.style": style,
        "model.backbone.norm_cfg": {"type": "BN", "requires_grad": style != "caffe"},
    }


def _dilated(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of strides and holes as a source's config says them, of which weights tell nothing."""
    strides = tuple(backbone.get("strides", STRIDES)), tuple(backbone.get("dilations", DILATIONS))
    if strides not in DILATED:
        raise CheckpointError(f"its backbone has the strides and dilations {strides}, which rdet does not have")
    if DILATED[strides] == 32:
        return {}
    return {"model.backbone.output_stride": DILATED[strides], "model.backbone.dilate_first": True}


def _others(network: BackboneOfWeights, backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of other networks than ResNets, for which the config's whole backbone is another."""
    keys = network.keys
    usual = {"RegNet": 1, "Res2Net": 1}.get(network.kind, -1)
    keys = keys | {"frozen_stages": max(backbone.get("frozen_stages", usual), 0)}
    if network.kind == "PVTv2":
        keys = keys | {"drop_path_rate": backbone.get("drop_path_rate", 0.1)}
    if network.kind == "HRNet":
        keys = keys | {"norm_eval": backbone.get("norm_eval", True)}
    return {"model.backbone": {"_delete_": True, **keys}}


def input_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network expects of its input as options."""
    return {f"model.data_preprocessor.{key}": value for key, value in values.items()}


def input_of(source: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what MMDetection's config says of the input: in 3.x with the model, in 2.x as ``img_norm_cfg``."""
    values = (source.get("model") or {}).get("data_preprocessor") or source.get("img_norm_cfg") or {}
    if "mean" not in values or "std" not in values:
        return None
    rgb = values.get("bgr_to_rgb", values.get("to_rgb", False))
    return {"mean": list(values["mean"]), "std": list(values["std"]), "bgr_to_rgb": bool(rgb)}


def _usual_input(kind: str, style: str, first_fcos: bool) -> dict[str, Any]:
    if kind in ("RegNet", "HRNet"):
        return _BGR_SCALED
    if style == "pytorch":
        return _RGB
    return _BGR_OF_DETECTRON if first_fcos else _BGR


def _neck(found: NeckOfWeights, neck: Mapping[str, Any] | list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return MMDetection's pyramid as options; what it does not say stays the config's."""
    neck = neck if isinstance(neck, Mapping) else neck[0]
    if found.kind == "HRFPN":
        cfg: dict[str, Any] = {"_delete_": True, "type": "HRFPN", "out_channels": found.channels}
        cfg |= {"stride": neck.get("stride", 2), "num_levels": neck.get("num_outs", 5)}
        return {"model.neck": cfg | ({"pooling": "max"} if neck.get("pooling_type") == "MAX" else {})}
    if found.kind == "DilatedEncoder":
        return {}
    source = neck.get("add_extra_convs")
    options: dict[str, Any] = {}
    if source in ("on_input", "on_output", "on_lateral"):
        sources = {"on_input": "on_c5", "on_output": "on_p5", "on_lateral": "on_lateral"}
        options["model.neck.extra_levels"] = sources[source]
    if neck:
        options["model.neck.relu_before_p7"] = bool(neck.get("relu_before_extra_convs", False))
    if neck.get("norm_cfg"):
        options["model.neck.norm_cfg"] = {key: neck["norm_cfg"][key] for key in neck["norm_cfg"]}
    return options


def _anchors(family: str, head: Mapping[str, Any]) -> dict[str, Any]:
    """Return anchors and deviations of the deltas, of the families that have them."""
    if family not in ("RetinaNet", "ATSS", "DDOD", "GFL"):
        return {}
    anchors, coder = head.get("anchor_generator") or {}, head.get("bbox_coder") or {}
    keys = [key for key in ("octave_base_scale", "scales_per_octave", "ratios") if key in anchors]
    options = {f"model.anchor_generator.{key}": anchors[key] for key in keys}
    if family != "GFL" and "target_stds" in coder:
        options["model.bbox_coder.target_stds"] = list(coder["target_stds"])
    return options


def _fcos(head: Mapping[str, Any], bias: bool) -> dict[str, Any]:
    """Return what MMDetection's switches change one by one; ``norm_on_bbox`` chooses the config."""
    return {
        "model.bbox_head.quality_tower": "reg" if head.get("centerness_on_reg") else "cls",
        "model.bbox_head.conv_bias": bias,
        "model.assigner.center_sampling_radius": 1.5 if head.get("center_sampling") else None,
    }


def _ghm(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return what GHM's losses are made with; what the source does not say stays the config's."""
    return {
        f"model.{slot}.{key}": losses[key]
        for slot in ("loss_cls", "loss_bbox")
        for losses in (head.get(slot) or {},)
        for key in ("bins", "momentum", "mu", "loss_weight")
        if key in losses
    }


def _tood_on_anchors(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of TOOD's head on anchors, one square a cell.

    Its weights have the names and shapes of the other one's.

    Raises:
        CheckpointError: The anchors are others, or the means of the deltas are not 0.
    """
    anchors, coder = head.get("anchor_generator") or {}, head.get("bbox_coder") or {}
    scales = anchors.get("scales", [anchors.get("octave_base_scale", 8)])
    scales = [scales] if isinstance(scales, int | float) else list(scales)
    if list(anchors.get("ratios", [1.0])) != [1.0] or len(scales) != 1 or anchors.get("scales_per_octave", 1) != 1:
        raise CheckpointError("it is TOOD with other anchors than one square a cell, which rdet does not have")
    if any(coder.get("target_means", ())):
        raise CheckpointError("its bbox_coder.target_means are not 0, which rdet's TOOD on anchors does not have")
    options = {
        "model.bbox_head.type": "TOODAnchorHead",
        "model.bbox_head.base_size": scales[0],
        "model.anchor_generator.octave_base_scale": scales[0],
    }
    if "target_stds" in coder:
        options["model.bbox_head.target_stds"] = list(coder["target_stds"])
    return options


def postprocess_options(test_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Return MMDetection's ``test_cfg`` as options; what it does not say stays the config's."""
    nms = test_cfg.get("nms") or {}
    if nms.get("type", "nms") != "nms":
        raise CheckpointError(f"its test_cfg.nms is {nms['type']!r}, which is not converted; only 'nms' is")
    values = {
        "score_thr": test_cfg.get("score_thr"),
        "topk_per_level": test_cfg.get("nms_pre"),
        "max_per_img": test_cfg.get("max_per_img"),
        "iou_threshold": nms.get("iou_threshold", nms.get("iou_thr")),
    }
    return {f"model.postprocess.{key}": value for key, value in values.items() if value is not None}
