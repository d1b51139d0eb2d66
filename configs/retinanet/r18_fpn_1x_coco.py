# RetinaNet, ResNet-18-FPN, COCO, 12 epochs.
#   python tools/train.py configs/retinanet/r18_fpn_1x_coco.py
# Should reach about 31.7 box AP on val2017 (MMDetection's twin). Not trained in full by this project yet.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(backbone=dict(depth=18, weights="torchvision://resnet18"))
