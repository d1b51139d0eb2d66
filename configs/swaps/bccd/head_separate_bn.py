# Separate batch normalisation at each level, convolutions shared (NAS-FPN, CVPR 2019).
_base_ = "./base.py"
model = dict(bbox_head=dict(share="convs", norm_cfg=dict(_delete_=True, type="BN")))
