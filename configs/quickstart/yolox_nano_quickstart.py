# YOLOX-nano, trained on COCO by its authors, fine-tuned on the generated data set.
#   python tools/make_quickstart.py
#   python tools/train.py configs/quickstart/yolox_nano_quickstart.py
# What it reaches: docs/yolox.md.
_base_ = [
    "../_base_/models/yolox_nano_finetuned.py",
    "../_base_/datasets/quickstart.py",
    "../_base_/default_runtime.py",
]
_iters = 100
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=20, end=_iters, T_max=_iters - 20, eta_min_ratio=0.01),
]
auto_scale_lr = dict(base_batch_size=8)
custom_hooks = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.02)]
default_hooks = dict(checkpoint=dict(interval=_iters))
