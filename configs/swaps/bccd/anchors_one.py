# One square anchor at each cell instead of nine.
_base_ = "./base.py"
model = dict(anchor_generator=dict(scales_per_octave=1, ratios=[1.0]))
