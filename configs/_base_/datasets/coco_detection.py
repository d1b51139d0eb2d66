# COCO 2017: 117k images to train on, 5k to validate on, 800 pixels on the short side.
# Another place: --cfg-options data_root=DIR
data_root = "data/coco/"

train_dataloader = dict(
    batch_size=2,
    aspect_ratio_grouping=True,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ],
    ),
)
# Also what tools/test.py evaluates, unless there is a `test_dataloader`.
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img="val2017/"),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_evaluator = dict(type="CocoMetric")
