# SSD300, VGG-16, COCO, 120 epochs.
#   python tools/train.py configs/ssd/ssd300_vgg16_coco.py
# torchvision publishes 25.1 box AP with these numbers and another schedule, MMDetection 25.5. Not trained in full by
# this project.
_base_ = [
    "../_base_/models/ssd300_vgg16.py",
    "../_base_/datasets/coco_ssd300.py",
    "../_base_/default_runtime.py",
]
# 64 images a step, as MMDetection has it, whose 24 epochs see each image five times.
train_cfg = dict(by_epoch=True, max_epochs=120, val_interval=5)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.002, momentum=0.9, weight_decay=0.0005))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=120, milestones=[80, 110], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(interval=5))
