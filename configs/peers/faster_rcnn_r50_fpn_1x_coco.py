# torchvision's Faster R-CNN, ResNet-50-FPN, COCO, 12 epochs, to compare one-stage detectors with: Table 2 of the Focal
# Loss paper has detectors in two stages in its upper half.
#   python tools/train.py configs/peers/faster_rcnn_r50_fpn_1x_coco.py
# torchvision publishes 37.0 box AP for 26 epochs. Not trained in full by this project.
_base_ = [
    "../_base_/datasets/coco_detection.py",
    "../_base_/schedules/schedule_1x.py",
    "../_base_/default_runtime.py",
]
model = dict(
    type="TorchvisionDetector",
    model_name="fasterrcnn_resnet50_fpn",
    backbone_weights="torchvision://resnet50",
    # As torchvision has it where the backbone starts from ImageNet.
    frozen=["backbone.body.conv1", "backbone.body.layer1"],
    freeze_norms=True,
)
# Of its reference training.
optim_wrapper = dict(optimizer=dict(lr=0.02))
