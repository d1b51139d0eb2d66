# RetinaNet with ResNet-18-FPN from random weights on the generated data set.
#   make demo
# or, step by step:
#   python tools/make_quickstart.py
#   python tools/train.py configs/quickstart/retinanet_r18_fpn_quickstart.py
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/quickstart.py",
    "../_base_/default_runtime.py",
]
model = dict(
    # From random weights, all is trained, and batch normalisation with the batch's own statistics.
    backbone=dict(depth=18, frozen_stages=0, norm_eval=False, weights=None),
    neck=dict(out_channels=64),
    bbox_head=dict(feat_channels=64, stacked_convs=2, norm_cfg=dict(type="BN")),
    # The smallest objects are 12 pixels wide.
    anchor_generator=dict(octave_base_scale=3),
)
_iters = 500
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=30, end=_iters, T_max=_iters - 30, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=_iters, by_epoch=False))
