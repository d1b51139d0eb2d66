# FCOS, caffe's ResNet-50-FPN, COCO, 12 epochs, with the numbers of MMDetection's fcos_r50-caffe_fpn_gn-head_1x_coco,
# its first head: exp of distances in pixels, no centre sampling, centerness from the class tower, -log(IoU).
#   python tools/train.py configs/fcos/r50_caffe_fpn_gn-head_1x_coco_mmdet.py
# Should reach what MMDetection lists: 36.6 box AP on val2017. Not trained in full by this project.
_base_ = "./r50_caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco_mmdet.py"
model = dict(
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717]),
    backbone=dict(weights="https://download.openmmlab.com/pretrain/third_party/resnet50_caffe-788b5fa3.pth"),
    bbox_head=dict(conv_bias="auto", distance="exp", quality_tower="cls"),
    assigner=dict(center_sampling_radius=None),
    bbox_coder=dict(unit="pixel"),
    loss_bbox=dict(_delete_=True, type="IoULoss"),
    postprocess=dict(iou_threshold=0.5),
)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type="ConstantLR", factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
