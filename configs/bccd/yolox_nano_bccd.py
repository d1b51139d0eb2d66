# YOLOX-nano, trained on COCO by its authors, fine-tuned on BCCD.
#   python tools/train.py configs/bccd/yolox_nano_bccd.py
# What it reaches: docs/yolox.md.
_base_ = [
    "../_base_/models/yolox_nano_finetuned.py",
    "../_base_/datasets/bccd_voc.py",
    "../_base_/schedules/small_data.py",
]
_side = 416
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LargeScaleJitter", scale=_side, ratio_range=(0.8, 1.25)),
            dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
            dict(type="RandomHSV"),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(_side, _side), keep_ratio=True, round_down=True),
            dict(type="Pad", size=(_side, _side)),
            dict(type="PackDetInputs"),
        ],
    ),
)
_iters = 150
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
default_hooks = dict(checkpoint=dict(interval=_iters))
