# Figure 7: FL* with gamma 2 and beta 2; alpha is .25 (appendix A).
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(_delete_=True, type="FocalLossStar", gamma=2.0, beta=2.0, alpha=0.25))
