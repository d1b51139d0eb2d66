# The setting of the paper's ablations at a scale that two CPU cores train in minutes, on generated images.
#   python tools/paper.py run
# The rows of the paper's tables are trained as children of it that change what the row is about.
# As in the paper: SGD at 0.01 with momentum 0.9 and weight decay 1e-4, the rate divided by 10 after two thirds and
# eight ninths, no clipping of gradients, the prior, nine anchors a cell, foreground from IoU 0.5, background below 0.4
# but for the best anchors of each object.
# Not as in the paper, and chosen on two rows alone, the focal loss with gamma 2 and the cross entropy with alpha .75,
# so that both learn in the time: a small network whose backbone stays as ImageNet left it, batch normalisation in the
# head, batches of 4, 1000 steps, a warm-up of 50, anchors half as large, vertical flips too, bfloat16, an object's best
# anchors as foreground however little they overlap it. Detections are kept whatever their score: after so few steps,
# the scores of a cross entropy are below 0.05 even where they are right.
_base_ = [
    "../_base_/models/retinanet_lite0_fpn.py",
    "../_base_/datasets/quickstart.py",
    "../_base_/default_runtime.py",
]
data_root = "data/paper/"
train_dataloader = dict(batch_size=4)
model = dict(
    backbone=dict(frozen_stages=4, autocast=True),
    neck=dict(out_channels=64),
    anchor_generator=dict(octave_base_scale=2),
    bbox_head=dict(feat_channels=64, stacked_convs=2, share="convs", norm_cfg=dict(type="BN")),
    postprocess=dict(score_thr=0.0),
)
_iters = 1000
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="MultiStepLR", by_epoch=False, milestones=[_iters * 2 // 3, _iters * 8 // 9], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=_iters // 4, by_epoch=False, max_keep_ckpts=1, save_best=None))
