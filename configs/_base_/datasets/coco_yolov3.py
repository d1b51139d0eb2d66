# COCO with YOLOv3's augmentation in MMDetection: zooming out, windows that keep part of the objects, a size drawn for
# each image, flips, colours. The long side has 608 pixels in the test.
_base_ = "./coco_detection.py"
_base_.train_dataloader.update(batch_size=8, num_workers=4)
_base_.train_dataloader.dataset.pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Expand", mean=0.0, ratio_range=(1, 2)),
    dict(type="MinIoURandomCrop", min_ious=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_crop_size=0.3),
    dict(type="RandomResize", scale=[(320, 320), (608, 608)], keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion", shuffle_prob=0.5),
    dict(type="PackDetInputs"),
]
_base_.val_dataloader.dataset.pipeline[1] = dict(type="Resize", scale=(608, 608), keep_ratio=True)
