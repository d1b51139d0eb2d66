# YOLOv3 on MobileNetV2 at 320 pixels: 22.2 box AP on val2017, as MMDetection lists its own. Not trained in full here.
#   python tools/train.py configs/yolov3/yolov3_mobilenetv2_320_coco.py
_base_ = "./yolov3_mobilenetv2_416_coco.py"
model = dict(
    anchor_generator=dict(
        sizes=[
            [(10, 15), (24, 36), (72, 42)],
            [(35, 87), (102, 96), (60, 170)],
            [(220, 125), (128, 222), (264, 266)],
        ]
    )
)
_base_.train_dataloader.dataset.pipeline[3] = dict(type="Resize", scale=(320, 320), keep_ratio=True)
_base_.val_dataloader.dataset.pipeline[1].update(scale=(320, 320))
