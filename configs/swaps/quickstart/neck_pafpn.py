# PAFPN (Liu et al., CVPR 2018).
_base_ = "./base.py"
model = dict(neck=dict(type="PAFPN"))
