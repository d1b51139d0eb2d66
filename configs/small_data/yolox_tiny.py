# YOLOX-tiny from its authors' COCO weights, for data of your own.
#   python tools/train.py configs/small_data/yolox_tiny.py --data DIR --minutes 30
# As yolox_nano, with whole convolutions and wider. Not trained by this project yet.
_base_ = "./yolox_nano.py"
load_from = "yolox://yolox_tiny"
_part = dict(use_depthwise=False)
model = dict(
    backbone=dict(widen_factor=0.375, **_part),
    neck=dict(out_channels=96, **_part),
    bbox_head=dict(feat_channels=96, **_part),
)
