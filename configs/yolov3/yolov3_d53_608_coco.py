# YOLOv3, Darknet-53, at 608 pixels: 33.7 box AP on val2017, as MMDetection lists its own. Not trained in full here.
#   python tools/train.py configs/yolov3/yolov3_d53_608_coco.py
# Its weights: mmdet://yolov3_d53_8xb8-ms-608-273e_coco. Its losses are sums of 8 images on each of 8 processes.
_base_ = [
    "../_base_/models/yolov3_d53.py",
    "../_base_/datasets/coco_yolov3.py",
    "../_base_/default_runtime.py",
]
# Darknet's ImageNet weights, as MMDetection has them. (timm's are of the same network with another slope and input.)
model = dict(
    backbone=dict(weights="https://download.openmmlab.com/pretrain/third_party/darknet53-a628ea1b.pth"),
)
train_cfg = dict(by_epoch=True, max_epochs=273, val_interval=7)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=0.0005),
    clip_grad=dict(max_norm=35.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=2000),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=273, milestones=[218, 246], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(interval=7))
