# RTMDet-tiny at 640 pixels (Lyu et al., arXiv:2212.07784): 4.88 million parameters.
#   python tools/train.py configs/rtmdet/rtmdet_tiny_640_coco.py
# MMDetection lists 40.9 box AP on val2017. Not trained in full by this project yet: docs/rtmdet.md.
# Beside s: half of the images are blended.
_base_ = ["./rtmdet_s_640_coco.py"]
model = dict(
    backbone=dict(deepen_factor=0.167, widen_factor=0.375),
    neck=dict(out_channels=96),
    bbox_head=dict(feat_channels=96),
)
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type="MixUp", ratio_range=(1.0, 1.0), prob=0.5), dict(type="PackDetInputs")])
)
