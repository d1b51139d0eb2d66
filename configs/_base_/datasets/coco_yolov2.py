# COCO for YOLOv2, whose images darknet scales, moves and recolours by its own rules; here SSD's do the same work.
_base_ = "./coco_ssd300.py"
_base_.train_dataloader.dataset.pipeline[2].update(mean=127.5, ratio_range=(1, 1.5))
_base_.train_dataloader.dataset.pipeline[4].update(scale=(416, 416))
_base_.val_dataloader.dataset.pipeline[1].update(scale=(544, 544))
