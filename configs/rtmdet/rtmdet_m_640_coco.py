# RTMDet-m at 640 pixels (Lyu et al., arXiv:2212.07784): 24.71 million parameters.
#   python tools/train.py configs/rtmdet/rtmdet_m_640_coco.py
# MMDetection lists 49.1 box AP on val2017. Not trained in full by this project yet: docs/rtmdet.md.
_base_ = ["./rtmdet_l_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=0.67, widen_factor=0.75),
    neck=dict(out_channels=192, num_csp_blocks=2),
    bbox_head=dict(feat_channels=192),
)
