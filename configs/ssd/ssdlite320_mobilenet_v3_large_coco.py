# SSDLite320, MobileNetV3-Large with half of the channels at its end, COCO, 660 epochs from random weights.
#   python tools/train.py configs/ssd/ssdlite320_mobilenet_v3_large_coco.py
# torchvision publishes 21.3 box AP with these numbers. Not trained in full by this project.
_base_ = [
    "../_base_/models/ssdlite320_mobilenet_v3_large.py",
    "../_base_/datasets/coco_ssd300.py",
    "../_base_/default_runtime.py",
]
_resize = dict(type="Resize", scale=(320, 320), keep_ratio=False)
_base_.train_dataloader.dataset.pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="MinIoURandomCrop", min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    _resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
_base_.val_dataloader.dataset.pipeline[1] = _resize
train_dataloader = dict(batch_size=24)
train_cfg = dict(by_epoch=True, max_epochs=660, val_interval=20)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.15, momentum=0.9, weight_decay=0.00004))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=660, T_max=660),
]
auto_scale_lr = dict(base_batch_size=192)
default_hooks = dict(checkpoint=dict(interval=20))
