# RetinaNet, ResNeXt-101-32x8d-FPN, COCO, 12 epochs.
#   python tools/train.py configs/retinanet/x101_32x8d_fpn_1x_coco.py
# The backbone of Table 2's last row (40.8 AP on test-dev with scale jitter and 1.5x the schedule).
# Not trained in full by this project yet.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(backbone=dict(depth=101, groups=32, base_width=8, weights="torchvision://resnext101_32x8d"))
