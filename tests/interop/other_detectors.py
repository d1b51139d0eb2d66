"""Configs of MMDetection with other backbones and necks than a ResNet and an FPN: small ones, for comparisons."""

from typing import Any, NamedTuple


class Other(NamedTuple):
    """A config and what is changed in it.

    Attributes:
        config: Of MMDetection's repository, without ``.py``.
        options: Dotted key -> value.
        ours: The same of rdet's config of the family, ``configs/FAMILY/r50_fpn_1x_coco_mmdet.py``.
        family: As :mod:`rdet.interop.mmdetection` calls it.
        name: What rdet recognises in the weights.
    """

    config: str
    options: dict[str, Any]
    ours: dict[str, Any]
    family: str
    name: str


def _timm(model_name: str, **keys: Any) -> dict[str, Any]:
    return {"model.backbone": {"_delete_": True, "type": "TimmBackbone", "model_name": model_name, **keys}}


_DYHEAD = {
    "_delete_": True,
    "type": "NeckChain",
    "necks": [
        {"type": "FPN", "extra_levels": "on_p5", "relu_before_p7": False},
        {"type": "DyHead", "num_blocks": 1},
    ],
}
OTHERS = {
    "gfl_dcn": Other(
        "gfl/gfl_r101-dconv-c3-c5_fpn_ms-2x_coco",
        {"model.backbone.depth": 50},
        {"model.backbone.dcn_stages": (1, 2, 3), "model.backbone.dcn_modulated": False},
        "GFL",
        "ResNet-50-DCN",
    ),
    "vfnet_res2net_dcnv2": Other(
        "vfnet/vfnet_res2net101-mdconv-c3-c5_fpn_ms-2x_coco",
        {"model.backbone.depth": 50},
        {
            "model.backbone": {"_delete_": True, "type": "Res2Net", "pool_all": False, "dcn_stages": (1, 2, 3)},
            "model.bbox_head.dcn_on_last_conv": True,
        },
        "VFNet",
        "Res2Net-50-DCNv2",
    ),
    "retinanet_regnet": Other(
        "regnet/retinanet_regnetx-800MF_fpn_1x_coco",
        {},
        _timm("regnetx_008", frozen_stages=1),
        "RetinaNet",
        "RegNetX-800MF",
    ),
    "retinanet_pvt": Other(
        "pvt/retinanet_pvtv2-b0_fpn_1x_coco",
        {"model.backbone.drop_path_rate": 0.0},
        _timm("pvt_v2_b0", norm_eps=1e-6),
        "RetinaNet",
        "PVTv2-b0",
    ),
    "atss_dyhead": Other(
        "dyhead/atss_r50_fpn_dyhead_1x_coco",
        {"model.neck.1.num_blocks": 1, "model.backbone.depth": 18, "model.neck.0.in_channels": [64, 128, 256, 512]},
        {"model.backbone.depth": 18, "model.neck": _DYHEAD, "model.bbox_head.stacked_convs": 0},
        "ATSS",
        "ResNet-18-FPN-DyHead",
    ),
}
# Which normalisations are damped, see made_weights.py.
DAMPED = {"atss_dyhead": ("bn2", "downsample")}
IMAGES = ((96, 128, 5),)
