# YOLOX's schedule: 300 epochs of 64 images a step; a warm-up with the square of the step over 5 epochs, a cosine to a
# twentieth, and the last 15 epochs at that, without images that are joined (the data) and with L1 (the model).
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0005, nesterov=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type="QuadraticWarmupLR", by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=5,
        end=285,
        T_max=280,
        eta_min_ratio=0.05,
        convert_to_iter_based=True,
    ),
    dict(type="ConstantLR", by_epoch=True, factor=1.0, begin=285, end=300),
]
custom_hooks = [dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.0001, update_buffers=True)]
