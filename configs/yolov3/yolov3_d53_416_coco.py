# YOLOv3, Darknet-53, at 416 pixels: 30.9 box AP on val2017, as MMDetection lists its own. Not trained in full here.
#   python tools/train.py configs/yolov3/yolov3_d53_416_coco.py
_base_ = "./yolov3_d53_608_coco.py"
_base_.train_dataloader.dataset.pipeline[3].update(scale=[(320, 320), (416, 416)])
_base_.val_dataloader.dataset.pipeline[1].update(scale=(416, 416))
