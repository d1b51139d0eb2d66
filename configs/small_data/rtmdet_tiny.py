# RTMDet-tiny from the ImageNet weights of its authors' CSPNeXt (openmmlab), for data of your own.
#   python tools/train.py configs/small_data/rtmdet_tiny.py --data DIR --minutes 30
# Not trained by this project yet. From COCO: --cfg-options load_from=mmdet://rtmdet_tiny_8xb32-300e_coco; from random
# weights: --cfg-options model.backbone.weights=None.
_base_ = [
    "../_base_/models/rtmdet.py",
    "../_base_/datasets/small_data.py",
    "../_base_/schedules/small_data.py",
]
_weights = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/cspnext-tiny_imagenet_600e.pth"
model = dict(
    backbone=dict(deepen_factor=0.167, widen_factor=0.375, weights=_weights),
    neck=dict(out_channels=96, num_csp_blocks=1),
    bbox_head=dict(feat_channels=96, exp_on_reg=False),
    postprocess=dict(topk_per_level=1000, max_per_img=100),
)
