# ATSS with every number of MMDetection 3.3's atss_r50_fpn_1x_coco, R50.
#   python tools/train.py configs/atss/r50_fpn_1x_coco_mmdet.py
# It lists 39.4 box AP on val2017. With the same weights, losses and detections agree; not trained by this
# project. What differs from r50_fpn_1x_coco.py, and why: docs/interop.md.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    neck=dict(relu_before_p7=False),
    assigner=dict(padding="ignored", ignore_iof_thr=None, inside_margin=0.01),
    bbox_coder=dict(clamp_both_sides=True),
    normalizer=dict(type="BatchNormalizer", min_count_per_image=1),
    postprocess=dict(
        quality_score="product",
        rank_by="class_score",
        min_box_size=0.0,
    ),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
