# FCOS, ResNet-50-FPN, with every number as in torchvision's fcos_resnet50_fpn: gives its detections from its
# released weights (39.2 box AP on val2017, says torchvision), which rdet.interop.torchvision loads.
#   model = init_detector("configs/fcos/r50_fpn_torchvision.py")
#   load_torchvision_fcos(model, "fcos_resnet50_fpn_coco-99b0c9b7.pth")
# `num_classes` is 91 here, COCO's category ids as torchvision counts them (0 and ten more are never objects). To
# train on a data set with its own classes:
#   python tools/train.py configs/fcos/r50_fpn_torchvision.py --cfg-options model.num_classes=None
# Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    num_classes=91,
    # torchvision's trainable_backbone_layers=3 and FrozenBatchNorm2d
    backbone=dict(frozen_stages=1, norm_cfg=dict(type="BN", requires_grad=False)),
    neck=dict(extra_levels="on_p5", relu_before_p7=True),
    # A bias although a norm follows, and no learned scale of a level
    bbox_head=dict(conv_bias=True, scale_levels=False),
    # Points at the cells' corners, not their centres, and in steps of whole pixels: squares of one stride
    anchor_generator=dict(
        _delete_=True, type="AnchorGenerator", octave_base_scale=1, scales_per_octave=1, ratios=[1.0], rounded=True
    ),
    assigner=dict(include_upper=False, include_lower=False),
    bbox_weight=None,  # the centerness does not weigh the box loss
    postprocess=dict(score_thr=0.2, topk_per_level=1000, iou_threshold=0.6, max_per_img=100),
)
