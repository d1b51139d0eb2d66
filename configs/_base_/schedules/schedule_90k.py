# The paper's schedule (section 4.1, "Optimization"): 90k iterations of 16 images, the rate /10 at 60k and 80k.
train_cfg = dict(by_epoch=False, max_iters=90000, val_interval=10000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    # Detectron's warm-up, the paper's own code: from a third of the rate, over 500 iterations.
    dict(type="LinearLR", start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=False, begin=0, end=90000, milestones=[60000, 80000], gamma=0.1),
]
