# What `rdet train --data DIR` trains on, at a longer side of 416 pixels; other sizes: --image-size. The folder and its
# classes take the place of what is named here.
data_root = "data/my_data/"
_side = 416
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LargeScaleJitter", scale=(_side, _side), ratio_range=(0.8, 1.25)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="RandomHSV"),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/"),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=True),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_evaluator = dict(type="CocoMetric")
