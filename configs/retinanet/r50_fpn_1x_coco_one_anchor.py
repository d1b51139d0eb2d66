# RetinaNet with one square anchor a cell instead of nine: a child that changes a setting.
#   python tools/train.py configs/retinanet/r50_fpn_1x_coco_one_anchor.py
# Should reach 3.7 AP less than r50_fpn_1x_coco.py (paper, Table 1c, 600 pixels: 30.3 for 34.0).
_base_ = "./r50_fpn_1x_coco.py"
model = dict(anchor_generator=dict(scales_per_octave=1, ratios=[1.0]))
