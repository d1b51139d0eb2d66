# Section 5.1, "Network Initialization": cross entropy and the prior pi = .01, the mended twin of no_prior.py.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(_delete_=True, type="CrossEntropyLoss"))
