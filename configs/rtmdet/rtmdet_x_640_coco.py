# RTMDet-x at 640 pixels (Lyu et al., arXiv:2212.07784): 94.86 million parameters.
#   python tools/train.py configs/rtmdet/rtmdet_x_640_coco.py
# MMDetection lists 52.6 box AP on val2017. Not trained in full by this project yet: docs/rtmdet.md.
_base_ = ["./rtmdet_l_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=1.33, widen_factor=1.25),
    neck=dict(out_channels=320, num_csp_blocks=4),
    bbox_head=dict(feat_channels=320),
)
