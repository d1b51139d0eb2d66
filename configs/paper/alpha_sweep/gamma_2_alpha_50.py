# Section 5.1, "Focal Loss": which alpha is best with gamma 2; here .50.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(alpha=0.5, gamma=2.0))
