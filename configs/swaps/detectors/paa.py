# PAA; what it changes of ATSS and why: configs/paa/r50_fpn_1x_coco_mmdet.py
_base_ = "atss.py"
model = dict(
    assigner=dict(_delete_=True, type="PAAAssigner", padding="ignored", ignore_iof_thr=None, reassign_low_quality=True),
    loss_bbox=dict(loss_weight=1.3),
    loss_quality=dict(loss_weight=0.5),
    quality=dict(_delete_=True, type="IoUQuality"),
    normalizer=dict(min_count_per_image=0, min_mass=1e-6),
    postprocess=dict(type="ScoreVotingPostprocess", quality_score="geometric_mean", rank_by="score", min_box_size=None),
)
