# RetinaNet, ResNet-101-FPN, COCO, 12 epochs.
#   python tools/train.py configs/retinanet/r101_fpn_1x_coco.py
# Should reach about 38.5 box AP on val2017 (paper, Table 1e, 800 pixels, test-dev: 37.8; MMDetection's
# twin: 38.5). Not trained in full by this project yet.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(backbone=dict(depth=101, weights="torchvision://resnet101"))
