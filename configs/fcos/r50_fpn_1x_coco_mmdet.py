# FCOS with every number of MMDetection 3.3's fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco, R50.
#   python tools/train.py configs/fcos/r50_fpn_1x_coco_mmdet.py
# It lists 38.7 box AP on val2017. With the same weights, losses and detections agree; not trained by this
# project. What differs from r50_fpn_1x_coco.py, and why: docs/interop.md.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        style="caffe",
        norm_cfg=dict(type="BN", requires_grad=False),
        weights="https://download.openmmlab.com/pretrain/third_party/resnet50_msra-5891d200.pth",
    ),
    bbox_head=dict(conv_bias=True),
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
optim_wrapper = dict(paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0))
