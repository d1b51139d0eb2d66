# YOLOX-nano for other data, from its authors' weights. The load_from of an exported ONNX file does as well.
_base_ = "./yolox.py"
load_from = "yolox://yolox_nano"
# An exported file has its batch normalisation inside the convolutions, and few images do not replace COCO's statistics.
_part = dict(use_depthwise=True, norm_eval=True)
model = dict(
    backbone=dict(widen_factor=0.25, **_part),
    neck=dict(out_channels=64, **_part),
    bbox_head=dict(feat_channels=64, **_part),
    initial=None,  # L1 from the beginning: the boxes are good
)
