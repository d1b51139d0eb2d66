# RetinaNet, ResNeXt-50-32x4d-FPN, COCO at 800 x 800 pixels, 12 epochs.
#   python tools/train.py configs/retinanet/x50_32x4d_fpn_800x800.py --amp
# The network and the size of MLPerf Training's detector, whose speed others publish: images of one size, fixed
# normalisation. MLPerf trains it on OpenImages and to another target. Not trained in full by this project yet.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    backbone=dict(
        groups=32, base_width=4, weights="torchvision://resnext50_32x4d", norm_cfg=dict(type="BN", requires_grad=False)
    )
)
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    aspect_ratio_grouping=False,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(800, 800), keep_ratio=False),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(800, 800), keep_ratio=False),
            dict(type="PackDetInputs"),
        ]
    )
)
cuda_graphs = True
