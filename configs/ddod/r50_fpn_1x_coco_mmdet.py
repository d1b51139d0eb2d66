# DDOD (Chen et al., ACM MM 2021): ATSS whose classes and boxes have positives of their own, by what is predicted, and
# features of their own, by deformable convolutions; levels with few positives count up to twice. Every number of the
# detector in MMDetection 3.3's ddod_r50_fpn_1x_coco.
#   python tools/train.py configs/ddod/r50_fpn_1x_coco_mmdet.py
# It lists 41.7 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "../atss/r50_fpn_1x_coco_mmdet.py"
model = dict(
    bbox_head=dict(type="DDODHead"),
    assigner=dict(
        _delete_=True,
        type="SeparateAssigner",
        classes=dict(type="AlignedATSSAssigner", alpha=0.8, padding="ignored", ignore_iof_thr=None, inside_margin=0.01),
        boxes=dict(type="AlignedATSSAssigner", alpha=0.5, padding="ignored", ignore_iof_thr=None, inside_margin=0.01),
    ),
    quality=dict(_delete_=True, type="IoUQuality"),
    bbox_weight=None,
    level_weight=dict(type="RareLevelWeight"),
)
