# Towers of their own for each level.
_base_ = "./base.py"
model = dict(bbox_head=dict(share="none"))
