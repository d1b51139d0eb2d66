# SSD513, ResNet-101, COCO: 31.2 box AP on test-dev (Fu et al., "DSSD", arXiv:1701.06659). Not trained in full here.
#   python tools/train.py configs/ssd/ssd513_r101_coco.py
_base_ = [
    "../_base_/models/ssd513_r101.py",
    "../_base_/datasets/coco_ssd513.py",
    "../_base_/default_runtime.py",
]
# 20 images a step, at 0.001; that the 240k iterations are the paper's too was not checked against its text.
train_cfg = dict(by_epoch=False, max_iters=240000, val_interval=10000)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=0.0005))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=False, begin=0, end=240000, milestones=[160000, 220000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=20)
train_dataloader = dict(batch_size=20)
default_hooks = dict(checkpoint=dict(interval=10000, by_epoch=False))
