# NanoDet-m at 416 pixels (RangiLyu/nanodet 0.x): ShuffleNetV2 1.0x, a pyramid of three levels, GFL's losses.
#   python tools/train.py configs/nanodet/nanodet_m_416_coco.py
#   python tools/infer.py nanodet://nanodet_m_416 IMAGES
# 0.95 million parameters. Its authors list 23.5 box AP on val2017 (their config nanodet-m-416.yml, images resized with
# their ratio kept). Not trained in full by this project yet; what its released weights give here: docs/nanodet.md.
# Whose numbers: those of nanodet-m-416.yml. What differs: their random shift by up to a fifth of the image is the
# random window of LargeScaleJitter here, and images are tested without keeping their ratio, as its exported files are.
_base_ = ["../_base_/datasets/coco_detection.py", "../_base_/default_runtime.py"]
_side = 416
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False
    ),
    backbone=dict(
        type="TorchvisionBackbone",
        model_name="shufflenet_v2_x1_0",
        act_cfg=dict(type="LeakyReLU", negative_slope=0.1),
        autocast=False,  # so small a network loses accuracy in bfloat16, and is hardly faster
        frozen_stages=0,
        norm_eval=False,
        weights="torchvision://shufflenet_v2_x1_0",
    ),
    neck=dict(type="NanoDetPAN", out_channels=96),
    bbox_head=dict(type="NanoDetHead", feat_channels=96, stacked_convs=2, autocast=False),
    # One square of 5 strides around each point (i + 0.5) * stride.
    anchor_generator=dict(
        type="AnchorGenerator", octave_base_scale=5, scales_per_octave=1, ratios=[1.0], center_offset=0.5
    ),
    assigner=dict(type="ATSSAssigner", topk=9, inside_margin=0.01, ignore_iof_thr=None),
    bbox_coder=dict(type="DistributionBBoxCoder", reg_max=7, margin=0.1, max_distance=None),
    normalizer=dict(type="BatchNormalizer", min_count_per_image=1),
    loss_cls=dict(type="QualityFocalLoss"),
    loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    loss_dfl=dict(type="DistributionFocalLoss"),
    bbox_weight=dict(type="ClassScore"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.05, iou_threshold=0.6),
)
train_dataloader = dict(
    batch_size=192,
    num_workers=8,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LargeScaleJitter", scale=_side, ratio_range=(0.5, 1.4), pad_val=0),
            dict(type="RandomFlip", prob=0.5),
            dict(
                type="PhotoMetricDistortion",
                brightness_delta=51,  # a fifth of the range
                contrast_range=(0.6, 1.4),
                saturation_range=(0.5, 1.2),
                hue_delta=0,
            ),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=16,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=False),
            dict(type="PackDetInputs"),
        ],
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=280, val_interval=10)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.14, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=300),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=280, milestones=[240, 260, 275], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=192)
default_hooks = dict(checkpoint=dict(interval=10))
