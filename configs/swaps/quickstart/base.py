# The quickstart's detector on half its schedule: what the other configs here are compared with. Its head has batch
# normalisation for each level, with which 140 iterations reach twice the AP that they reach with group normalisation.
# Each of them differs from it in one slot; see docs/swaps.md for what they reach.
_base_ = "../../quickstart/retinanet_lite0_fpn_quickstart.py"
model = dict(bbox_head=dict(share="convs", norm_cfg=dict(_delete_=True, type="BN")))
_iters = 140
train_cfg = dict(max_iters=_iters, val_interval=_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=20, end=_iters, T_max=_iters - 20, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=_iters))
