# COCO at 513 x 513 with SSD's augmentation.
_base_ = "./coco_ssd300.py"
_resize = dict(type="Resize", scale=(513, 513), keep_ratio=False)
_base_.train_dataloader.dataset.pipeline[4] = _resize
_base_.val_dataloader.dataset.pipeline[1] = _resize
