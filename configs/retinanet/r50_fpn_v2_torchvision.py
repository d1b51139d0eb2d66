# RetinaNet, ResNet-50-FPN, with every number as in torchvision's retinanet_resnet50_fpn_v2: P6 from C5, group
# normalisation in the head, GIoU. Its released weights (41.5 box AP on val2017, says torchvision) are loaded by
#   model = init_detector("configs/retinanet/r50_fpn_v2_torchvision.py")
#   load_torchvision_retinanet(model, "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth")
# of rdet.interop.torchvision. `num_classes` is 91 here, see r50_fpn_torchvision.py. To train on a data set with its
# own classes (torchvision's longer recipe, https://github.com/pytorch/vision/pull/5756, is not in this config):
#   python tools/train.py configs/retinanet/r50_fpn_v2_torchvision.py --cfg-options model.num_classes=None
# Not trained in full by this project.
_base_ = "./r50_fpn_torchvision.py"
model = dict(
    # Batch normalisation that learns and uses the batch's statistics
    backbone=dict(norm_eval=False, norm_cfg=dict(_delete_=True, type="BN", requires_grad=True)),
    neck=dict(extra_levels="on_c5"),
    bbox_head=dict(norm_cfg=dict(type="GN", num_groups=32)),
    loss_bbox=dict(_delete_=True, type="GIoULoss"),
)
