# Table 1c: 2 scales an octave and 1 aspect ratio, 2 anchors a cell.
_base_ = "../retinanet_r50_600.py"
model = dict(anchor_generator=dict(scales_per_octave=2, ratios=[1.0]))
