# SSD300 with every number of the detector in MMDetection 3.3's ssd300_coco: default boxes that are not clipped, a batch
# divided by at least one positive an image, thresholds.
#   python tools/train.py configs/ssd/ssd300_vgg16_coco_mmdet.py
# It lists 25.5 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "./ssd300_vgg16_coco.py"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53]),
    anchor_generator=dict(clip=False),
    assigner=dict(ignore_iof_thr=None, padding="ignored"),
    bbox_coder=dict(clamp_both_sides=True),
    normalizer=dict(min_count_per_image=1),
    postprocess=dict(score_thr=0.02, min_box_size=0.0),
)
