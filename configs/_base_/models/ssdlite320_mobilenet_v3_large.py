# SSDLite320 with MobileNetV3-Large (Howard et al., ICCV 2019, section 6.3), with torchvision's numbers of COCO.
_base_ = "./ssd300_vgg16.py"
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(_delete_=True, type="SSDLiteMobileNetV3", reduced_tail=True),  # its weights start at random
    neck=dict(_delete_=True, type="SSDLiteNeck", extra_channels=[512, 256, 256, 128]),
    bbox_head=dict(type="SSDLiteHead"),
    anchor_generator=dict(
        image_size=320,
        scales=[0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0],
        ratios=[[2, 3]] * 6,
        clip=True,
        even_cells=True,
    ),
    postprocess=dict(score_thr=0.001, iou_threshold=0.55, max_per_img=300),
)
