# FCOS, ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's second head (centre sampling, distances in
# strides, centerness from the box tower, GIoU) and torchvision's ResNet.
#   python tools/train.py configs/fcos/r50_fpn_1x_coco_mmdet.py
# There is no figure for it: MMDetection's has a caffe backbone, see
# r50_caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco_mmdet.py.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(
    bbox_head=dict(conv_bias=True),
    assigner=dict(include_lower=True, ignore_iof_thr=None),
    bbox_coder=dict(max_distance=None),
    normalizer=dict(min_mass=1e-6),
    postprocess=dict(quality_score="product", rank_by="class_score", min_box_size=0.0),
)
train_dataloader = dict(dataset=dict(filter_empty_gt=True, min_image_size=32))
optim_wrapper = dict(paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0))
