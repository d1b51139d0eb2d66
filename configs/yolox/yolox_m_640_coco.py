# YOLOX-m at 640 pixels (Ge et al., arXiv:2107.08430): 25.33 million parameters.
#   python tools/train.py configs/yolox/yolox_m_640_coco.py
# Its authors list 46.9 box AP on val2017. Not trained in full by this project yet: docs/yolox.md.
_base_ = ["./yolox_s_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=0.67, widen_factor=0.75),
    neck=dict(out_channels=192, num_csp_blocks=2),
    bbox_head=dict(feat_channels=192),
)
