# Table 1c: 1 scale an octave and 3 aspect ratios, 3 anchors a cell.
_base_ = "../retinanet_r50_600.py"
model = dict(anchor_generator=dict(scales_per_octave=1, ratios=[0.5, 1.0, 2.0]))
