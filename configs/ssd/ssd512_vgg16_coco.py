# SSD512, VGG-16, COCO: SSD300 with a level more, and default boxes from 0.04 of the image on.
#   python tools/train.py configs/ssd/ssd512_vgg16_coco.py
# Liu et al. publish 26.8 box AP on test-dev (Table 5), MMDetection 29.5 on val2017. Not trained in full here.
_base_ = "./ssd300_vgg16_coco.py"
model = dict(
    neck=dict(
        extra=[
            (256, 512, 3, 2, 1),
            (128, 256, 3, 2, 1),
            (128, 256, 3, 2, 1),
            (128, 256, 3, 2, 1),
            (128, 256, 4, 1, 1),
        ],
        strides=[8, 16, 32, 64, 128, 256, 512],
    ),
    anchor_generator=dict(
        image_size=512,
        scales=[0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06],
        ratios=[[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
        clip=False,
    ),
)
_resize = dict(type="Resize", scale=(512, 512), keep_ratio=False)
_base_.train_dataloader.dataset.pipeline[4] = _resize
_base_.val_dataloader.dataset.pipeline[1] = _resize
