# Quality focal loss: the target of a positive's class is the IoU of its predicted box (GFL, NeurIPS 2020).
_base_ = "./base.py"
model = dict(loss_cls=dict(_delete_=True, type="QualityFocalLoss"))
