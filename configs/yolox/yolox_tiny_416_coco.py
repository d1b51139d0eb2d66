# YOLOX-tiny at 416 pixels (Ge et al., arXiv:2107.08430): 5.06 million parameters.
#   python tools/train.py configs/yolox/yolox_tiny_416_coco.py
# Its authors list 32.8 box AP on val2017. Not trained in full by this project yet: docs/yolox.md.
# Beside the larger ones: images are resized less and not blended, and batches have 320 to 640 pixels.
_base_ = ["./yolox_s_640_coco.py"]
_side = 416
model = dict(
    data_preprocessor=dict(batch_resize=dict(sides=(320, 640))),
    backbone=dict(widen_factor=0.375),
    neck=dict(out_channels=96),
    bbox_head=dict(feat_channels=96),
)
train_dataloader = dict(
    dataset=dict(
        skip_type_keys=["Mosaic", "RandomAffine"],
        pipeline=[
            dict(type="Mosaic", img_scale=640),
            dict(type="RandomAffine", size=640, scaling_ratio_range=(0.5, 1.5)),
            dict(type="RandomHSV"),
            dict(type="Resize", scale=(640, 640), keep_ratio=True),
            dict(type="Pad", size=640),
            dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
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
