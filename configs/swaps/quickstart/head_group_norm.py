# Group normalisation in a head whose levels share everything.
_base_ = "./base.py"
model = dict(bbox_head=dict(share="all", norm_cfg=dict(_delete_=True, type="GN", num_groups=16)))
