# SSD513 with ResNet-101 and prediction modules (Fu et al., "DSSD", arXiv:1701.06659, sections 3.1 and 3.2): maps of 65,
# 33, 17, 9, 5 and 3 cells a side, from conv3, from conv5 with holes at stride 16, and from four residual blocks.
# Open in the paper, or not found: the least default boxes of this size (here from 0.04 of the image on, as SSD512's on
# COCO), the channels of the blocks (here 1024 and 256), and whether the backbone's statistics change (here not).
_base_ = "./ssd300_vgg16.py"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),  # of torchvision's weights
    backbone=dict(
        _delete_=True,
        type="ResNet",
        depth=101,
        out_indices=[1, 3],
        output_stride=16,
        frozen_stages=0,
        norm_eval=True,
        weights="torchvision://resnet101",
    ),
    neck=dict(_delete_=True, type="ResidualSSDNeck", num_extra=4, extra_channels=1024),
    bbox_head=dict(type="DSSDHead"),
    anchor_generator=dict(
        image_size=513,
        scales=[0.04, 0.1, 0.29, 0.48, 0.67, 0.86, 1.05],
        ratios=[[1.6, 2, 3]] * 6,
        clip=False,
    ),
)
