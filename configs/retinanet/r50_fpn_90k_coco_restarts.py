# RetinaNet, ResNet-50-FPN, COCO, 90k iterations with cosine annealing and warm restarts.
#   python tools/train.py configs/retinanet/r50_fpn_90k_coco_restarts.py
# A model at the end of each period: iterations 6000, 18000, 42000 and 90000. Not trained in full by this project.
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_90k_restarts.py",
]
default_hooks = dict(checkpoint=dict(interval=6000, max_keep_ckpts=-1))
