# YOLOX-s at 640 pixels (Ge et al., arXiv:2107.08430): 8.97 million parameters.
#   python tools/train.py configs/yolox/yolox_s_640_coco.py
# Its authors list 40.5 box AP on val2017. Not trained in full by this project yet: docs/yolox.md.
# Whose numbers: those of Megvii's code, which MMDetection's configs repeat. What differs: docs/yolox.md.
_base_ = [
    "../_base_/models/yolox.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/schedules/yolox_300e.py",
    "../_base_/default_runtime.py",
]
_side = 640
model = dict(data_preprocessor=dict(batch_resize=dict(type="RandomBatchSize", sides=(480, 800))))
train_dataloader = dict(
    batch_size=8,
    aspect_ratio_grouping=False,
    num_workers=4,
    dataset=dict(
        _delete_=True,
        type="MultiImageMixDataset",
        stop_epoch=285,
        skip_type_keys=["Mosaic", "RandomAffine", "MixUp"],
        dataset=dict(
            type="CocoDataset",
            ann_file="annotations/instances_train2017.json",
            data_prefix=dict(img="train2017/"),
            pipeline=[dict(type="LoadImageFromFile"), dict(type="RandomFlip", prob=0.5)],
        ),
        pipeline=[
            dict(type="Mosaic", img_scale=_side),
            dict(type="RandomAffine", size=_side, scaling_ratio_range=(0.1, 2.0)),
            dict(type="MixUp", ratio_range=(0.8, 1.6)),
            dict(type="RandomHSV"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=True),
            dict(type="Pad", size=_side),
            dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=True, round_down=True),
            dict(type="Pad", size=(_side, _side)),
            dict(type="PackDetInputs"),
        ],
    ),
)
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10))
