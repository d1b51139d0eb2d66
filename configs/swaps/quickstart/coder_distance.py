# Distances to the sides, in quarters of an anchor's.
_base_ = "./base.py"
model = dict(bbox_coder=dict(_delete_=True, type="DistancePointBBoxCoder", prior_scale=4.0))
