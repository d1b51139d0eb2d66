# The setting of the paper's ablations (Table 1, caption): ResNet-50-FPN, 600 pixels, gamma 2, alpha .25, 9 anchors.
#   python tools/train.py configs/paper/retinanet_r50_600.py
# The configs of the paper's tables are children of it; docs/paper_results.md lists them beside the paper's rows.
# The paper trains on trainval35k and tests on minival: the images of COCO's train2017 and val2017.
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_90k.py",
]
# "To background if their IoU is in [0, 0.4)" (section 4): an object's best anchor is foreground only from there on.
model = dict(assigner=dict(min_pos_iou=0.4))
# The long side is at most 1000, 5/3 of the short one, as in Detectron, the paper's code.
_base_.train_dataloader.dataset.pipeline[1].scale = (1000, 600)
_base_.val_dataloader.dataset.pipeline[1].scale = (1000, 600)
default_hooks = dict(checkpoint=dict(interval=10000, by_epoch=False))
