# NanoDet-m at 416 pixels (RangiLyu/nanodet 0.x): ShuffleNetV2 1.0x, a pyramid of three levels, GFL's losses.
#   python tools/train.py configs/nanodet/nanodet_m_416_coco.py
#   python tools/infer.py nanodet://nanodet_m_416 IMAGES
# 0.95 million parameters. Its authors list 23.5 box AP on val2017 (their config nanodet-m-416.yml, images resized with
# their ratio kept). Not trained in full by this project yet; what its released weights give here: docs/interop.md.
# Whose numbers: those of nanodet-m-416.yml. What differs: their random shift by up to a fifth of the image is the
# random window of LargeScaleJitter here, and images are tested without keeping their ratio, as its exported files are.
_base_ = [
    "../_base_/models/nanodet_m.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/default_runtime.py",
]
_side = 416
train_dataloader = dict(
    batch_size=192,
    aspect_ratio_grouping=False,
    num_workers=8,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LargeScaleJitter", scale=_side, ratio_range=(0.5, 1.4), pad_val=0),
            dict(type="RandomFlip", prob=0.5),
            dict(
                type="PhotoMetricDistortion",
                brightness_delta=51,  # a fifth of the range
                contrast_range=(0.6, 1.4),
                saturation_range=(0.5, 1.2),
                hue_delta=0,
            ),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=16,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=False),
            dict(type="PackDetInputs"),
        ],
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=280, val_interval=10)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.14, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=300),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=280, milestones=[240, 260, 275], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=192)
default_hooks = dict(checkpoint=dict(interval=10))
