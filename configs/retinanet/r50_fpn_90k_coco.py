# RetinaNet, ResNet-50-FPN, COCO, the paper's 90k iterations.
#   python tools/train.py configs/retinanet/r50_fpn_90k_coco.py
# The twin of r50_fpn_1x_coco.py that counts iterations; should reach the same. Not trained in full yet.
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_90k.py",
]
default_hooks = dict(checkpoint=dict(interval=10000))
