# VarifocalNet, ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's vfnet_r50_fpn_1x_coco.
#   python tools/train.py configs/vfnet/r50_fpn_1x_coco_mmdet.py
# Should reach what MMDetection lists: 41.6 box AP on val2017. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    bbox_head=dict(_delete_=True, type="VFNetHead", stacked_convs=3, norm_cfg=dict(type="GN", num_groups=32)),
    assigner=dict(inside_margin=0.01, ignore_iof_thr=None, padding="unmatched"),
    bbox_coder=dict(_delete_=True, type="DistancePointBBoxCoder", max_distance=None),
    loss_bbox_initial=dict(type="GIoULoss", loss_weight=1.5),
    quality=dict(type="IoUQuality", min_quality=1e-6),
    bbox_weight=dict(type="IoUQuality", min_quality=1e-6),
    postprocess=dict(min_box_size=0.0),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
optim_wrapper = dict(paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
