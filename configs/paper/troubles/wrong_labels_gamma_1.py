# Overfitting on hard examples: gamma 1 on wrong_labels.py. See docs/focal_loss_troubles.md.
_base_ = "./wrong_labels.py"
model = dict(loss_cls=dict(gamma=1.0))
