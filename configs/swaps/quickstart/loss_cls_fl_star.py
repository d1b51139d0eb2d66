# FL* (Focal Loss paper, appendix A).
_base_ = "./base.py"
model = dict(loss_cls=dict(_delete_=True, type="FocalLossStar", gamma=2.0, beta=1.0))
