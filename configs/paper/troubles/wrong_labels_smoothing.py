# Overfitting on hard examples: label smoothing on wrong_labels.py. See docs/focal_loss_troubles.md.
_base_ = "./wrong_labels.py"
model = dict(loss_cls=dict(label_smoothing=0.1))
