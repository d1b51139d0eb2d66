# Table 1e: ResNet-50-FPN at 800 pixels.
_base_ = "../retinanet_r50_600.py"
_base_.train_dataloader.dataset.pipeline[1].scale = (1333, 800)
_base_.val_dataloader.dataset.pipeline[1].scale = (1333, 800)
