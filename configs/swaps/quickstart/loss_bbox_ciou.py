# Complete IoU (Zheng et al., AAAI 2020).
_base_ = "./base.py"
model = dict(loss_bbox=dict(_delete_=True, type="CIoULoss", loss_weight=2.0))
