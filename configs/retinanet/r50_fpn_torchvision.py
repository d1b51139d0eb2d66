# RetinaNet, ResNet-50-FPN, with every number as in torchvision's retinanet_resnet50_fpn: gives its detections
# from its released weights (36.4 box AP on val2017, says torchvision), which rdet.interop.torchvision loads.
#   model = init_detector("configs/retinanet/r50_fpn_torchvision.py")
#   load_torchvision_retinanet(model, "retinanet_resnet50_fpn_coco-eeacb38b.pth")
# `num_classes` is 91 here, COCO's category ids as torchvision counts them (0 and ten more are never objects). To
# train on a data set with its own classes, and from ImageNet weights, for which torchvision's epsilon is 1e-5:
#   python tools/train.py configs/retinanet/r50_fpn_torchvision.py \
#       --cfg-options model.num_classes=None model.backbone.norm_cfg.eps=1e-5
# Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    num_classes=91,
    # torchvision's trainable_backbone_layers=3 and FrozenBatchNorm2d, whose epsilon it sets to 0 for these weights
    backbone=dict(frozen_stages=1, norm_cfg=dict(type="BN", requires_grad=False, eps=0.0)),
    neck=dict(extra_levels="on_p5"),
    anchor_generator=dict(rounded=True),
    loss_bbox=dict(_delete_=True, type="L1Loss"),
    normalizer=dict(type="ImageNormalizer"),
    postprocess=dict(max_per_img=300),
)
