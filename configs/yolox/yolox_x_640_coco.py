# YOLOX-x at 640 pixels (Ge et al., arXiv:2107.08430): 99.07 million parameters.
#   python tools/train.py configs/yolox/yolox_x_640_coco.py
# Its authors list 51.1 box AP on val2017. Not trained in full by this project yet: docs/yolox.md.
_base_ = ["./yolox_s_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=1.33, widen_factor=1.25),
    neck=dict(out_channels=320, num_csp_blocks=4),
    bbox_head=dict(feat_channels=320),
)
