# The same with normalised layers in neck and heads, as of 2021 (torchvision's fasterrcnn_resnet50_fpn_v2; 46.7 box AP
# published, after 400 epochs with stronger augmentation).
_base_ = "./faster_rcnn_r50_fpn_1x_coco.py"
model = dict(
    model_name="fasterrcnn_resnet50_fpn_v2",
    backbone_weights="torchvision://resnet50.IMAGENET1K_V2",
    frozen=[],
    freeze_norms=False,
)
