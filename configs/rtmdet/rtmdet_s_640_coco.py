# RTMDet-s at 640 pixels (Lyu et al., arXiv:2212.07784): 8.89 million parameters.
#   python tools/train.py configs/rtmdet/rtmdet_s_640_coco.py
# MMDetection lists 44.5 box AP on val2017. Not trained in full by this project yet: docs/rtmdet.md.
# Beside the larger ones: images are resized less, and distances are the outputs themselves.
_base_ = ["./rtmdet_l_640_coco.py"]
_side = 640
model = dict(
    backbone=dict(deepen_factor=0.33, widen_factor=0.5),
    neck=dict(out_channels=128, num_csp_blocks=1),
    bbox_head=dict(feat_channels=128, exp_on_reg=False),
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            pipeline=[
                dict(type="Mosaic", img_scale=_side),
                dict(type="RandomResize", ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type="RandomCrop", crop_size=(_side, _side)),
                dict(type="RandomHSV"),
                dict(type="RandomFlip", prob=0.5),
                dict(type="Pad", size=_side),
            ],
        ),
    ),
)
