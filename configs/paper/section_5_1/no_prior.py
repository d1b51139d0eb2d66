# Section 5.1, "Network Initialization": cross entropy, every prior starts as foreground with p = .5. It diverges.
_base_ = "../retinanet_r50_600.py"
model = dict(loss_cls=dict(_delete_=True, type="CrossEntropyLoss"), bbox_head=dict(prior_prob=0.5))
