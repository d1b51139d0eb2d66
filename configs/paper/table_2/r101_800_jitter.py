# Table 2, "RetinaNet, ResNet-101-FPN": 800 pixels with scale jitter, 1.5 times the schedule.
# The paper does not say how far it jitters; here the short side is one of six from 640 to 800, as in Detectron2.
_base_ = "../table_1e/r101_800.py"
_base_.train_dataloader.dataset.pipeline[1] = dict(
    type="RandomChoiceResize", scales=[(1333, short) for short in range(640, 801, 32)], keep_ratio=True
)
train_cfg = dict(max_iters=135000, val_interval=15000)
_base_.param_scheduler[1].update(end=135000, milestones=[90000, 120000])
default_hooks = dict(checkpoint=dict(interval=15000))
