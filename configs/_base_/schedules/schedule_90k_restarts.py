# Cosine annealing with warm restarts (SGDR, Loshchilov and Hutter, ICLR 2017): periods of 6k, 12k, 24k and 48k
# iterations of 16 images, each twice the one before.
train_cfg = dict(by_epoch=False, max_iters=90000, val_interval=6000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(
        type="CosineRestartLR",
        by_epoch=False,
        begin=500,  # the first period is shorter by the warm-up
        periods=[5500, 12000, 24000, 48000],
        restart_weights=[1.0, 1.0, 1.0, 1.0],
        eta_min_ratio=0.01,
    ),
]
