# Table 1c: 1 scale an octave and 1 aspect ratio, 1 anchor a cell.
_base_ = "../retinanet_r50_600.py"
model = dict(anchor_generator=dict(scales_per_octave=1, ratios=[1.0]))
