# Table 1e: ResNet-50-FPN at 400 pixels.
_base_ = "../retinanet_r50_600.py"
_base_.train_dataloader.dataset.pipeline[1].scale = (667, 400)
_base_.val_dataloader.dataset.pipeline[1].scale = (667, 400)
