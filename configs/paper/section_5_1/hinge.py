# Section 5.1, "Hinge Loss": the hinge loss on p_t. The paper got no meaningful result with it.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(_delete_=True, type="HingeLoss"))
