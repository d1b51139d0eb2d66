# Table 1c: 4 scales an octave and 3 aspect ratios, 12 anchors a cell.
_base_ = "../retinanet_r50_600.py"
model = dict(anchor_generator=dict(scales_per_octave=4, ratios=[0.5, 1.0, 2.0]))
