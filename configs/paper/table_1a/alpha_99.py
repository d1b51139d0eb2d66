# Table 1a: alpha-balanced cross entropy, which is the focal loss with gamma 0; alpha .99.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.99, gamma=0.0))
