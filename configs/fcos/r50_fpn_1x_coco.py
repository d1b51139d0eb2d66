# FCOS (Tian et al., TPAMI 2021), with centre sampling, GIoU and the centerness read from the box tower.
#   python tools/train.py configs/fcos/r50_fpn_1x_coco.py
# MMDetection lists 38.7 box AP on val2017 for its twin, which also clips gradients, doubles the rate of biases and does
# not decay them. Not trained in full by this project yet. Assignment and losses are the paper's. Detections are
# thresholded and ranked by sqrt(class * centerness), as in torchvision; the authors' code compares the class's own
# score with the threshold: postprocess.rank_by="class_score". MMDetection's numbers: r50_fpn_1x_coco_mmdet.py.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="FCOSHead", norm_cfg=dict(type="GN", num_groups=32)),
    anchor_generator=dict(_delete_=True, type="PointGenerator"),
    # In the paper (section 3.1) a distance of exactly a limit belongs to both levels.
    assigner=dict(_delete_=True, type="FCOSAssigner", include_lower=True),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_bbox=dict(_delete_=True, type="GIoULoss"),
    loss_quality=dict(type="BinaryCrossEntropyLoss"),
    quality=dict(type="Centerness"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.6),
)
