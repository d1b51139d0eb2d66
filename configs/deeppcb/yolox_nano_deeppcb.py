# YOLOX-nano, trained on COCO by its authors, fine-tuned on DeepPCB (github.com/tangsanli5201/DeepPCB): circuit boards
# of 640 pixels with six kinds of small defects, as COCO json.
#   python tools/train.py configs/deeppcb/yolox_nano_deeppcb.py --cfg-options data_root=DIR
# What it reaches: docs/yolox.md.
_base_ = [
    "../_base_/models/yolox_nano_finetuned.py",
    "../_base_/schedules/small_data.py",
]
data_root = "data/deeppcb/"
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            # A board has no upright position.
            dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type="CocoDataset",
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/"),
        test_mode=True,
        pipeline=[dict(type="LoadImageFromFile"), dict(type="PackDetInputs")],
    ),
)
val_evaluator = dict(type="CocoMetric")
_iters = 150
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=_iters))
