"""Small config files in the form of MMDetection 3, for what reads them."""

from pathlib import Path

STRIDES = [8, 16, 32, 64, 128]
ONE_ANCHOR = {
    "type": "AnchorGenerator",
    "ratios": [1.0],
    "octave_base_scale": 8,
    "scales_per_octave": 1,
    "strides": STRIDES,
}
FOCAL = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
BINARY = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
DELTAS = {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [0.1, 0.1, 0.2, 0.2]}
ATSS = {"assigner": {"type": "ATSSAssigner", "topk": 9}, "allowed_border": -1, "pos_weight": -1, "debug": False}

HEADS = {
    "RetinaNet": {
        "type": "RetinaHead",
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 4,
            "scales_per_octave": 3,
            "ratios": [0.5, 1.0, 2.0],
            "strides": STRIDES,
        },
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
        "loss_cls": FOCAL,
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    },
    "FCOS": {
        "type": "FCOSHead",
        "strides": STRIDES,
        "norm_on_bbox": True,
        "centerness_on_reg": True,
        "dcn_on_last_conv": False,
        "center_sampling": True,
        "conv_bias": True,
        "loss_cls": FOCAL,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 1.0},
        "loss_centerness": BINARY,
    },
    "ATSS": {
        "type": "ATSSHead",
        "anchor_generator": ONE_ANCHOR,
        "bbox_coder": DELTAS,
        "loss_cls": FOCAL,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
        "loss_centerness": BINARY,
    },
    "GFL": {
        "type": "GFLHead",
        "anchor_generator": ONE_ANCHOR,
        "loss_cls": {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0},
        "loss_dfl": {"type": "DistributionFocalLoss", "loss_weight": 0.25},
        "reg_max": 16,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
    },
    "VFNet": {
        "type": "VFNetHead",
        "stacked_convs": 3,
        "strides": STRIDES,
        "use_vfl": True,
        "loss_cls": {"type": "VarifocalLoss", "use_sigmoid": True, "iou_weighted": True},
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 1.5},
        "loss_bbox_refine": {"type": "GIoULoss", "loss_weight": 2.0},
    },
    "TOOD": {
        "type": "TOODHead",
        "stacked_convs": 6,
        "anchor_type": "anchor_free",
        "anchor_generator": ONE_ANCHOR,
        "bbox_coder": DELTAS,
        "initial_loss_cls": {**FOCAL, "activated": True},
        "loss_cls": {"type": "QualityFocalLoss", "use_sigmoid": True, "activated": True, "beta": 2.0},
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
    },
    "DDOD": {
        "type": "DDODHead",
        "stacked_convs": 4,
        "anchor_generator": ONE_ANCHOR,
        "bbox_coder": DELTAS,
        "loss_cls": FOCAL,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
        "loss_iou": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
    },
}
FAMILIES = tuple(HEADS)

_MATCHING = {
    "RetinaNet": {
        "assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0},
        "sampler": {"type": "PseudoSampler"},
        "allowed_border": -1,
        "pos_weight": -1,
        "debug": False,
    },
    "FCOS": None,
    "ATSS": ATSS,
    "GFL": ATSS,
    "VFNet": ATSS,
    "TOOD": {
        "initial_epoch": 4,
        "initial_assigner": {"type": "ATSSAssigner", "topk": 9},
        "assigner": {"type": "TaskAlignedAssigner", "topk": 13},
        "alpha": 1,
        "beta": 6,
        "allowed_border": -1,
        "pos_weight": -1,
    },
    "DDOD": {
        "assigner": {"type": "ATSSAssigner", "topk": 9, "alpha": 0.8},
        "reg_assigner": {"type": "ATSSAssigner", "topk": 9, "alpha": 0.5},
        "allowed_border": -1,
        "pos_weight": -1,
        "debug": False,
    },
}

_RUN = """
default_scope = "mmdet"
backend_args = None
data_root = "data/shapes/"
train_pipeline = [
    dict(type="LoadImageFromFile", backend_args=backend_args),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(1333, 800), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile", backend_args=backend_args),
    dict(type="Resize", scale=(1333, 800), keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        ann_file="train.json",
        data_prefix=dict(img="train/"),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
        backend_args=backend_args,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        ann_file="val.json",
        data_prefix=dict(img="val/"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="CocoMetric", ann_file=data_root + "val.json", metric="bbox")
test_evaluator = val_evaluator
max_epochs = 12
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=max_epochs, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", interval=1),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="DetVisualizationHook"),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method="fork"), dist_cfg=dict(backend="nccl"))
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="DetLocalVisualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
"""


def model(family: str, depth: int = 50) -> dict:
    """A model as MMDetection's configs of a family describe it."""
    channels = [64, 128, 256, 512] if depth < 50 else [256, 512, 1024, 2048]
    retina, caffe = family == "RetinaNet", family == "FCOS"
    return {
        "type": family,
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [103.53, 116.28, 123.675] if caffe else [123.675, 116.28, 103.53],
            "std": [1.0, 1.0, 1.0] if caffe else [58.395, 57.12, 57.375],
            "bgr_to_rgb": not caffe,
            "pad_size_divisor": 32,
        },
        "backbone": {
            "type": "ResNet",
            "depth": depth,
            "num_stages": 4,
            "out_indices": (0, 1, 2, 3),
            "frozen_stages": 1,
            "norm_cfg": {"type": "BN", "requires_grad": not caffe},
            "norm_eval": True,
            "style": "caffe" if caffe else "pytorch",
            "init_cfg": {
                "type": "Pretrained",
                "checkpoint": "open-mmlab://detectron2/resnet50_caffe" if caffe else f"torchvision://resnet{depth}",
            },
        },
        "neck": {
            "type": "FPN",
            "in_channels": channels,
            "out_channels": 256,
            "start_level": 1,
            "add_extra_convs": "on_input" if retina else "on_output",
            "num_outs": 5,
            **({"relu_before_extra_convs": True} if family in ("FCOS", "VFNet") else {}),
        },
        "bbox_head": {"num_classes": 80, "in_channels": 256, "feat_channels": 256, **HEADS[family]},
        "train_cfg": _MATCHING[family],
        "test_cfg": {
            "nms_pre": 1000,
            "min_bbox_size": 0,
            "score_thr": 0.05,
            "nms": {"type": "nms", "iou_threshold": 0.5 if retina else 0.6},
            "max_per_img": 100,
        },
    }


def write_source(folder: Path, family: str, changes: str = "", depth: int = 50) -> Path:
    """Write a config of MMDetection, its bases beside it.

    Args:
        folder: Where.
        family: One of ``FAMILIES``.
        changes: Text of the config itself, below its bases.
        depth: Of the ResNet.
    """
    (folder / "_base_").mkdir(exist_ok=True)
    (folder / "_base_" / "run.py").write_text(_RUN)
    (folder / "_base_" / "model.py").write_text(f"model = {model(family, depth)!r}\n")
    path = folder / f"{family.lower()}_r{depth}_fpn_1x.py"
    path.write_text(f"_base_ = ['_base_/model.py', '_base_/run.py']\n{changes}\n")
    return path
