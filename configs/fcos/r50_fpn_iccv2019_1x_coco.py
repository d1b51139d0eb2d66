# FCOS as first published (Tian et al., ICCV 2019): distances are exp, in pixels; no centre sampling; centerness beside
# the classes; the IoU loss.
#   python tools/train.py configs/fcos/r50_fpn_iccv2019_1x_coco.py
# MMDetection lists 36.6 box AP on val2017 for fcos_r50-caffe_fpn_gn-head_1x_coco. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    bbox_head=dict(distance="exp", quality_tower="cls"),
    assigner=dict(center_sampling_radius=None),
    bbox_coder=dict(unit="pixel"),
    loss_bbox=dict(_delete_=True, type="IoULoss"),
    postprocess=dict(iou_threshold=0.5),
)
