# BCCD, 364 pictures of blood cells in Pascal VOC format (github.com/Shenggan/BCCD_Dataset, MIT licence).
# Another place: --cfg-options data_root=DIR
data_root = "data/bccd/"
_classes = ("RBC", "WBC", "Platelets")

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="VocDataset",
        ann_file="ImageSets/Main/trainval.txt",
        metainfo=dict(classes=_classes),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(
                type="RandomChoiceResize",
                # A batch is padded to its largest image: a wider choice would cost time at every step.
                scales=[(600, s) for s in (288, 304, 320, 336)],
                keep_ratio=True,
            ),
            # Cells have no upright position.
            dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="VocDataset",
        ann_file="ImageSets/Main/test.txt",
        metainfo=dict(classes=_classes),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(600, 320), keep_ratio=True),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_evaluator = dict(type="CocoMetric")
