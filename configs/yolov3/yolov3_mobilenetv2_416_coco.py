# YOLOv3 on MobileNetV2 at 416 pixels: 23.9 box AP on val2017, as MMDetection lists its own. Not trained in full here.
#   python tools/train.py configs/yolov3/yolov3_mobilenetv2_416_coco.py
# MMDetection's epochs are 30 of ten times the data; here 300.
_base_ = "./yolov3_d53_416_coco.py"
_mean = [123.675, 116.28, 103.53]
model = dict(
    data_preprocessor=dict(mean=_mean, std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type="TorchvisionBackbone",
        model_name="mobilenet_v2",
        act_cfg=dict(type="LeakyReLU", negative_slope=0.1),
        norm_eval=False,
        weights="torchvision://mobilenet_v2",
    ),
    neck=dict(out_channels=[96, 96, 96]),
    bbox_head=dict(feat_channels=[96, 96, 96]),
)
_base_.train_dataloader.update(batch_size=24)
_base_.train_dataloader.dataset.pipeline[1].update(mean=_mean[::-1])
train_cfg = dict(max_epochs=300, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=0.003))
_base_.param_scheduler[0].update(start_factor=0.0001, end=4000)
_base_.param_scheduler[1].update(end=300, milestones=[240, 280])
auto_scale_lr = dict(base_batch_size=192)
default_hooks = dict(checkpoint=dict(interval=10))
