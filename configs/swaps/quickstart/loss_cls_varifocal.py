# Varifocal loss (VarifocalNet, CVPR 2021).
_base_ = "./base.py"
model = dict(loss_cls=dict(_delete_=True, type="VarifocalLoss"))
