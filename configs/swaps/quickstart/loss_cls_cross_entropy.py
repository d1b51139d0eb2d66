# Cross entropy, of which the background's many easy examples hold most.
_base_ = "./base.py"
model = dict(loss_cls=dict(_delete_=True, type="CrossEntropyLoss"))
