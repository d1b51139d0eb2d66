# YOLOv2, Darknet-19, COCO, tested at 544 pixels: 21.6 box AP on test-dev (Redmon and Farhadi, CVPR 2017, as Table 2 of
# the Focal Loss paper has it). Not trained in full here.
#   python tools/train.py configs/yolov2/yolov2_d19_544_coco.py
# The backbone starts from random weights: no library has those of Darknet-19 (a .pth of them: model.backbone.weights).
_base_ = [
    "../_base_/models/yolov2_d19.py",
    "../_base_/datasets/coco_yolov2.py",
    "../_base_/default_runtime.py",
]
# Darknet's 500,200 batches of 64; its warm-up goes with the fourth power of the step, here with the first.
train_cfg = dict(by_epoch=False, max_iters=500200, val_interval=10000)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=0.0005))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", by_epoch=False, begin=0, end=500200, milestones=[400000, 450000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
train_dataloader = dict(batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10000, by_epoch=False))
