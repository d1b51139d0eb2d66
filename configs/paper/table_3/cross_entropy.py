# Table 3: the best alpha-balanced cross entropy.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.75, gamma=0.0))
