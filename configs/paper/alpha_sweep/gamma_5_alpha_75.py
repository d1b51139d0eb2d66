# Section 5.1, "Focal Loss": which alpha is best with gamma 5; here .75.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.75, gamma=5.0))
