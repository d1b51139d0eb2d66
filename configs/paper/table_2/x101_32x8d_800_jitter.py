# Table 2, "RetinaNet, ResNeXt-101-FPN": the last row with ResNeXt-101-32x8d.
_base_ = "./r101_800_jitter.py"
model = dict(backbone=dict(groups=32, base_width=8, weights="torchvision://resnext101_32x8d"))
