# RetinaNet with the losses of GHM (Li et al., AAAI 2019), which weigh by the density of gradients in place of the
# Focal Loss, with every number of MMDetection 3.3's retinanet_r50_fpn_ghm-1x_coco, R50: they are the authors'.
#   python tools/train.py configs/ghm/r50_fpn_1x_coco_mmdet.py
# It lists 37.0 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "../retinanet/r50_fpn_1x_coco_mmdet.py"
model = dict(
    loss_cls=dict(_delete_=True, type="GHMC", bins=30, momentum=0.75),
    loss_bbox=dict(_delete_=True, type="GHMR", mu=0.02, bins=10, momentum=0.7, loss_weight=10.0),
    normalizer=dict(_delete_=True, type="NoNormalizer"),
)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
