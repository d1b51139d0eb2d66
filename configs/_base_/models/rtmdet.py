# RTMDet (Lyu et al., arXiv:2212.07784): CSPNeXt, path aggregation of its blocks, a head whose levels share kernels,
# soft labels in the matching and the loss. Here of size l; its numbers are those of MMDetection's code.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False
    ),
    backbone=dict(type="CSPNeXt", norm_cfg=dict(type="BN")),
    neck=dict(type="CSPNeXtPAFPN", out_channels=256, num_csp_blocks=3, norm_cfg=dict(type="BN")),
    bbox_head=dict(
        type="RTMDetSepBNHead", stacked_convs=2, feat_channels=256, exp_on_reg=True, norm_cfg=dict(type="BN")
    ),
    anchor_generator=dict(type="PointGenerator", center_offset=0.0),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    assigner=dict(type="DynamicSoftLabelAssigner", share_candidates=True, padding="ignored", ignore_iof_thr=None),
    loss_cls=dict(type="QualityFocalLoss"),
    loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    quality=dict(type="IoUQuality"),
    cls_mass=dict(type="SameQuality"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(
        type="NMSPostprocess",
        score_thr=0.001,
        iou_threshold=0.65,
        topk_per_level=30000,  # all
        max_per_img=300,
        min_box_size=0.0,
    ),
)
