# RTMDet's schedule: 300 epochs of 256 images a step; AdamW without decay of norms and biases, a warm-up over 1000
# steps, then flat, and a cosine to a twentieth in the second half; the last 20 epochs without joined images (the data).
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.004, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-5, by_epoch=False, begin=0, end=1000),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=150,
        end=300,
        T_max=150,
        eta_min_ratio=0.05,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.0002, update_buffers=True)]
