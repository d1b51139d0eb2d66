# A generated data set of five kinds of shapes, 256 pixels; tools/make_quickstart.py makes it.
# Another place: --cfg-options data_root=DIR
data_root = "data/quickstart/"

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/train.json",
        data_prefix=dict(img="train/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="RandomFlip", prob=[0.3, 0.3], direction=["horizontal", "vertical"]),
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
        data_prefix=dict(img="val/"),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_evaluator = dict(type="CocoMetric")
