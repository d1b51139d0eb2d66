# RetinaNet, ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's retinanet_r50_fpn_1x_coco.
#   python tools/train.py configs/retinanet/r50_fpn_1x_coco_mmdet.py
# Should reach what MMDetection lists: 36.5 box AP on val2017. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    neck=dict(relu_before_p7=False),
    assigner=dict(reassign_low_quality=True, ignore_iof_thr=None, padding="ignored"),
    bbox_coder=dict(clamp_both_sides=True),
    loss_bbox=dict(_delete_=True, type="L1Loss"),
    normalizer=dict(min_count_per_image=1),
    postprocess=dict(min_box_size=0.0),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
