# YOLOF (Chen et al., CVPR 2021): one level, of stride 32, whose convolutions have holes; as many priors for each box.
# Every number of the detector in MMDetection 3.3's yolof_r50-c5_8xb8-1x_coco, which are the authors'.
#   python tools/train.py configs/yolof/r50_c5_1x_coco_mmdet.py
# It lists 37.5 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "../retinanet/r50_fpn_1x_coco_mmdet.py"
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        out_indices=(3,),
        style="caffe",
        norm_cfg=dict(type="BN", requires_grad=False),
        weights="https://download.openmmlab.com/pretrain/third_party/resnet50_caffe-788b5fa3.pth",
    ),
    neck=dict(_delete_=True, type="DilatedEncoder"),
    bbox_head=dict(_delete_=True, type="YOLOFHead"),
    anchor_generator=dict(
        _delete_=True,
        type="FittedAnchorGenerator",
        sizes=[[(32, 32), (64, 64), (128, 128), (256, 256), (512, 512)]],
    ),
    assigner=dict(_delete_=True, type="UniformAssigner", padding="ignored", ignore_iof_thr=None),
    bbox_coder=dict(clamp_both_sides=False, max_shift=32),
    loss_bbox=dict(_delete_=True, type="GIoULoss"),
    postprocess=dict(iou_threshold=0.6),
)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="RandomFlip", prob=0.5),
            dict(type="RandomShift", prob=0.5, max_shift=32),
            dict(type="PackDetInputs"),
        ]
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=0.12),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(backbone=dict(lr_mult=1 / 3))),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.00066667, by_epoch=False, begin=0, end=1500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
