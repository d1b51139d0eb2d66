# NanoDet-m, trained on COCO by its authors, fine-tuned on BCCD.
#   pip install onnx
#   python tools/train.py configs/bccd/nanodet_m_bccd.py
# What it reaches, beside training from ImageNet weights: docs/bccd.md.
_base_ = [
    "../_base_/models/nanodet_m_finetuned.py",
    "../_base_/datasets/bccd_voc.py",
    "../_base_/default_runtime.py",
]
_iters = 300
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=40),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=40, end=_iters, T_max=_iters - 40, eta_min_ratio=0.01),
]
auto_scale_lr = dict(base_batch_size=8)
custom_hooks = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.02)]
default_hooks = dict(checkpoint=dict(interval=_iters))
