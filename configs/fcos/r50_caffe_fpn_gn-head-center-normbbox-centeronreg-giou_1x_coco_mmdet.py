# FCOS, caffe's ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's
# fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco, its second head.
#   python tools/train.py configs/fcos/r50_caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco_mmdet.py
# Should reach what MMDetection lists: 38.7 box AP on val2017. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco_mmdet.py"
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        style="caffe",
        norm_cfg=dict(type="BN", requires_grad=False),
        weights="https://download.openmmlab.com/pretrain/third_party/resnet50_msra-5891d200.pth",
    ),
)
