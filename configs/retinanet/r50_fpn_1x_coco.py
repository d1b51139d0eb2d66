# RetinaNet, ResNet-50-FPN, COCO, 12 epochs.
#   python tools/train.py configs/retinanet/r50_fpn_1x_coco.py
# Should reach about 36 box AP on val2017 (paper, Table 1e, 800 pixels, test-dev: 35.7; MMDetection's
# and Detectron2's twins: 36.5 and 37.4). Not trained in full by this project yet.
# Whose numbers: the paper's, section 4, where it gives them, else Detectron's (smooth L1 with beta 0.11, warm-up);
# those of MMDetection: r50_fpn_1x_coco_mmdet.py.
_base_ = [
    "../_base_/models/retinanet_r50_fpn.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/schedules/schedule_1x.py",
    "../_base_/default_runtime.py",
]
