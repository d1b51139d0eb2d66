# Table 1b: focal loss with gamma 0.1 and the best alpha for it, 0.75.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.75, gamma=0.1))
