# GHM's losses; what they change of RetinaNet and why: configs/ghm/r50_fpn_1x_coco_mmdet.py
_base_ = "../quickstart/base.py"
model = dict(
    loss_cls=dict(_delete_=True, type="GHMC", bins=30, momentum=0.75),
    loss_bbox=dict(_delete_=True, type="GHMR", mu=0.02, bins=10, momentum=0.7, loss_weight=10.0),
    normalizer=dict(type="NoNormalizer"),
)
