# ATSS (Zhang et al., CVPR 2020).
_base_ = "./base.py"
model = dict(assigner=dict(_delete_=True, type="ATSSAssigner"))
