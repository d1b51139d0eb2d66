# Generalised IoU of the decoded boxes (Rezatofighi et al., CVPR 2019).
_base_ = "./base.py"
model = dict(loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0))
