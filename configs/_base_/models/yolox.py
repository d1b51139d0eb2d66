# YOLOX (Ge et al., arXiv:2107.08430): CSPDarknet, path aggregation, a decoupled head with objectness, SimOTA. Here of
# size s; its numbers are those of YOLOX's and MMDetection's code. Images stay as they are: BGR, 0 to 255.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(type="DetDataPreprocessor", mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(type="CSPDarknet", deepen_factor=0.33, widen_factor=0.5),
    neck=dict(type="YOLOXPAFPN", out_channels=128, num_csp_blocks=1),
    bbox_head=dict(type="YOLOXHead", feat_channels=128),
    # SimOTA matches points (i + 0.5) * stride; boxes are encoded relative to i * stride, half a stride before.
    anchor_generator=dict(type="PointGenerator"),
    bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_means=(-0.5, -0.5, 0.0, 0.0), max_ratio=1e4),
    assigner=dict(type="SimOTAAssigner", share_candidates=True, with_quality=True, ignore_iof_thr=None),
    loss_cls=dict(type="PositiveCrossEntropyLoss"),
    loss_bbox=dict(type="IoULoss", mode="square", loss_weight=5.0),
    loss_obj=dict(type="CrossEntropyLoss"),
    loss_l1=dict(type="L1Loss"),
    initial=dict(epochs=285, loss_l1=None),
    postprocess=dict(
        type="NMSPostprocess",
        score_thr=0.001,
        iou_threshold=0.65,
        topk_per_level=30000,  # all
        best_class_only=True,
        quality_score="product",
    ),
)
