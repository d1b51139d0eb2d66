# BiFPN (EfficientDet, Tan et al., CVPR 2020).
_base_ = "./base.py"
model = dict(neck=dict(_delete_=True, type="BiFPN", out_channels=128))
