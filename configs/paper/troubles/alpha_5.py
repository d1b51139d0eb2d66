# Low recall of positives: alpha .05. See docs/focal_loss_troubles.md.
_base_ = "../small.py"
model = dict(loss_cls=dict(alpha=0.05))
