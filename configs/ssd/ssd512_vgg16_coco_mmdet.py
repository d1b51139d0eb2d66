# SSD512 with every number of the detector in MMDetection 3.3's ssd512_coco; sides of default boxes are whole pixels.
#   python tools/train.py configs/ssd/ssd512_vgg16_coco_mmdet.py
# It lists 29.5 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "./ssd512_vgg16_coco.py"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53]),
    # 20, 51, 133, 215, 296, 378, 460 and 542 of 512 pixels
    anchor_generator=dict(
        scales=[0.0390625, 0.099609375, 0.259765625, 0.419921875, 0.578125, 0.73828125, 0.8984375, 1.05859375]
    ),
    assigner=dict(ignore_iof_thr=None, padding="ignored"),
    bbox_coder=dict(clamp_both_sides=True),
    normalizer=dict(min_count_per_image=1),
    postprocess=dict(score_thr=0.02, min_box_size=0.0),
)
