# NanoDet-m at 320 pixels (RangiLyu/nanodet 0.x), else nanodet_m_416_coco.py.
#   python tools/train.py configs/nanodet/nanodet_m_320_coco.py
# Its authors list 20.6 box AP on val2017. Not trained in full by this project yet.
# Whose numbers: those of nanodet-m.yml, which differs from nanodet-m-416.yml in the size and the range of scales.
_base_ = "./nanodet_m_416_coco.py"
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LargeScaleJitter", scale=320, ratio_range=(0.6, 1.4), pad_val=0),
            dict(type="RandomFlip", prob=0.5),
            dict(
                type="PhotoMetricDistortion",
                brightness_delta=51,
                contrast_range=(0.6, 1.4),
                saturation_range=(0.5, 1.2),
                hue_delta=0,
            ),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(320, 320), keep_ratio=False),
            dict(type="PackDetInputs"),
        ],
    ),
)
