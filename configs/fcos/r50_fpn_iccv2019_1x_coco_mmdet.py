# FCOS's first head with every number of MMDetection 3.3's fcos_r50-caffe_fpn_gn-head_1x_coco, R50.
#   python tools/train.py configs/fcos/r50_fpn_iccv2019_1x_coco_mmdet.py
# It lists 36.6 box AP on val2017. With the same weights, losses and detections agree; not trained by this
# project. What differs from r50_fpn_1x_coco.py, and why: docs/interop.md.
_base_ = "./r50_fpn_iccv2019_1x_coco.py"
model = dict(
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        style="caffe",
        norm_cfg=dict(type="BN", requires_grad=False),
        weights="https://download.openmmlab.com/pretrain/third_party/resnet50_caffe-788b5fa3.pth",
    ),
    assigner=dict(ignore_iof_thr=None),
    bbox_coder=dict(max_distance=None),
    normalizer=dict(type="BatchNormalizer", min_mass=1e-6),
    postprocess=dict(
        quality_score="product",
        rank_by="class_score",
        min_box_size=0.0,
    ),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
optim_wrapper = dict(
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type="ConstantLR", factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
