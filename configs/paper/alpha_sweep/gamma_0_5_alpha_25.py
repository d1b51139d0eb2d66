# Section 5.1, "Focal Loss": which alpha is best with gamma 0.5; here .25.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.25, gamma=0.5))
