# SSDLite's layers, predictors and default boxes on the SSD beside it, from stride 16 on;
# configs/ssd/ssdlite320_mobilenet_v3_large_coco.py has it as published.
_base_ = "./ssd.py"
model = dict(
    backbone=dict(out_indices=[3, 4]),
    neck=dict(_delete_=True, type="SSDLiteNeck", extra_channels=[512, 256, 256, 128]),
    bbox_head=dict(type="SSDLiteHead"),
    anchor_generator=dict(
        scales=[0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0],
        ratios=[[2, 3]] * 6,
        clip=True,
        even_cells=True,
    ),
    postprocess=dict(score_thr=0.001, iou_threshold=0.55, max_per_img=300),
)
