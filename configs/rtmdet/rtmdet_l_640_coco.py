# RTMDet-l at 640 pixels (Lyu et al., arXiv:2212.07784): 52.32 million parameters.
#   python tools/train.py configs/rtmdet/rtmdet_l_640_coco.py
# MMDetection lists 51.3 box AP on val2017. Not trained in full by this project yet: docs/rtmdet.md.
# Whose numbers: those of MMDetection's configs. What differs: docs/rtmdet.md.
_base_ = [
    "../_base_/models/rtmdet.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/schedules/rtmdet_300e.py",
    "../_base_/default_runtime.py",
]
_side = 640
_last = 280  # epochs with mosaics
train_dataloader = dict(
    batch_size=32,
    aspect_ratio_grouping=False,
    num_workers=10,
    dataset=dict(
        _delete_=True,
        type="MultiImageMixDataset",
        draw_from="batch",
        stop_epoch=_last,
        dataset=dict(
            type="MultiImageMixDataset",
            draw_from="batch",
            stop_epoch=_last,
            dataset=dict(
                type="CocoDataset",
                ann_file="annotations/instances_train2017.json",
                data_prefix=dict(img="train2017/"),
                pipeline=[dict(type="LoadImageFromFile"), dict(type="Resize", scale=(_side, _side), keep_ratio=True)],
            ),
            pipeline=[
                dict(type="Mosaic", img_scale=_side),
                dict(type="RandomResize", ratio_range=(0.1, 2.0), keep_ratio=True),
                dict(type="RandomCrop", crop_size=(_side, _side)),
                dict(type="RandomHSV"),
                dict(type="RandomFlip", prob=0.5),
                dict(type="Pad", size=_side),
            ],
        ),
        pipeline=[dict(type="MixUp", ratio_range=(1.0, 1.0)), dict(type="PackDetInputs")],
    ),
)
val_dataloader = dict(
    batch_size=5,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=True),
            dict(type="Pad", size=_side),
            dict(type="PackDetInputs"),
        ],
    ),
)
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(checkpoint=dict(interval=10))
