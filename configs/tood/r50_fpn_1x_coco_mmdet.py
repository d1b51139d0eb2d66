# TOOD, ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's tood_r50_fpn_1x_coco: the first four epochs
# assign as ATSS does, by anchors of 8 strides.
#   python tools/train.py configs/tood/r50_fpn_1x_coco_mmdet.py
# Should reach what MMDetection lists: 42.4 box AP on val2017. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    neck=dict(relu_before_p7=False),
    bbox_head=dict(displace="corners"),
    anchor_generator=dict(
        _delete_=True, type="AnchorGenerator", octave_base_scale=8, scales_per_octave=1, ratios=[1.0]
    ),
    assigner=dict(topk_of="all", inside_margin=0.01, ignore_iof_thr=None, padding="ignored"),
    bbox_coder=dict(max_distance=None),
    quality=dict(eps=1e-7),
    postprocess=dict(clip=False, min_box_size=0.0),
    initial=dict(
        epochs=4,
        assigner=dict(type="ATSSAssigner", inside_margin=0.01, ignore_iof_thr=None, padding="ignored"),
        loss_cls=dict(type="FocalLoss"),
        quality=dict(type="Centerness"),
        cls_mass=None,
    ),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
