# The BCCD detector on a quarter of its schedule: what the other configs here are compared with.
# Its head has batch normalisation for each level, which learns faster than group normalisation.
# Each of them differs from it in one slot; see docs/swaps.md for what they reach.
_base_ = "../../bccd/retinanet_lite0_fpn_bccd.py"
model = dict(bbox_head=dict(share="convs", norm_cfg=dict(_delete_=True, type="BN")))
_iters = 200
train_cfg = dict(max_iters=_iters, val_interval=_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=20, end=_iters, T_max=_iters - 20, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=_iters))
# An average over as large a part of the run as in the long schedule.
custom_hooks = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.04)]
