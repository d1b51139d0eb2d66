# YOLOX-nano at 416 pixels (Ge et al., arXiv:2107.08430): depthwise convolutions, 0.91 million parameters.
#   python tools/train.py configs/yolox/yolox_nano_416_coco.py
#   python tools/infer.py yolox_nano.onnx IMAGES
# Its authors list 25.8 box AP on val2017. Not trained in full by this project yet; what its released weights give here:
# docs/yolox.md. Trained as tiny is.
_base_ = ["./yolox_tiny_416_coco.py"]
model = dict(
    backbone=dict(widen_factor=0.25, use_depthwise=True),
    neck=dict(out_channels=64, use_depthwise=True),
    bbox_head=dict(feat_channels=64, use_depthwise=True),
)
