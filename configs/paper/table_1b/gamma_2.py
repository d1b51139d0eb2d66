# Table 1b: focal loss with gamma 2 and the best alpha for it, 0.25.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.25, gamma=2.0))
