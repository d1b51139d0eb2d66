# The setting of Table 1d: the ablations' with ResNet-101-FPN.
_base_ = "./retinanet_r50_600.py"
model = dict(backbone=dict(depth=101, weights="torchvision://resnet101"))
