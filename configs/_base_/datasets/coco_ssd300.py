# COCO at 300 x 300 with SSD's augmentation: colours, zooming out, windows that keep part of the objects, flips.
_base_ = "./coco_detection.py"
_size = (300, 300)
_base_.train_dataloader.update(batch_size=8, num_workers=4, aspect_ratio_grouping=False)
_base_.train_dataloader.dataset.pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="PhotoMetricDistortion"),
    dict(type="Expand", mean=(104.0, 117.0, 123.0), ratio_range=(1, 4), prob=0.5),
    dict(type="MinIoURandomCrop", min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type="Resize", scale=_size, keep_ratio=False),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
_base_.val_dataloader.dataset.pipeline[1] = dict(type="Resize", scale=_size, keep_ratio=False)
