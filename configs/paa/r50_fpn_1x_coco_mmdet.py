# PAA (Kim and Lee, ECCV 2020): which priors are positive follows from the distribution of their losses; a predicted IoU
# is part of the score, and boxes are means of those around them. Every number of the detector in MMDetection 3.3's
# paa_r50_fpn_1x_coco, which are the authors'.
#   python tools/train.py configs/paa/r50_fpn_1x_coco_mmdet.py
# It lists 40.4 box AP on val2017. With the same weights, losses and detections agree; not trained by this project.
_base_ = "../atss/r50_fpn_1x_coco_mmdet.py"
model = dict(
    assigner=dict(_delete_=True, type="PAAAssigner", padding="ignored", ignore_iof_thr=None, reassign_low_quality=True),
    loss_bbox=dict(loss_weight=1.3),
    loss_quality=dict(loss_weight=0.5),
    quality=dict(_delete_=True, type="IoUQuality"),
    normalizer=dict(min_count_per_image=0, min_mass=1e-6),
    postprocess=dict(type="ScoreVotingPostprocess", quality_score="geometric_mean", rank_by="score", min_box_size=None),
)
