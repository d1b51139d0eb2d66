# For a small data set whose backbone, or whole network, is trained already: AdamW at 8 images a step, a short warm-up,
# a cosine to a hundredth, averaged weights. `rdet train --data` and `--minutes` fit the length to the data or the time.
_base_ = "../default_runtime.py"
_iters = 1000
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters // 4)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35.0),
)
param_scheduler = [dict(type="WarmupCosineLR", by_epoch=False)]
auto_scale_lr = dict(base_batch_size=8)
# Of the latest steps alone at first: after 100 steps, an average over a fixed 50 would still have a seventh of the
# weights that the run began with.
custom_hooks = [dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.01, gamma=100)]
default_hooks = dict(checkpoint=dict(interval=_iters // 4))
