# YOLOX-l at 640 pixels (Ge et al., arXiv:2107.08430): 54.21 million parameters.
#   python tools/train.py configs/yolox/yolox_l_640_coco.py
# Its authors list 49.7 box AP on val2017. Not trained in full by this project yet: docs/yolox.md.
_base_ = ["./yolox_s_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=1.0, widen_factor=1.0),
    neck=dict(out_channels=256, num_csp_blocks=3),
    bbox_head=dict(feat_channels=256),
)
