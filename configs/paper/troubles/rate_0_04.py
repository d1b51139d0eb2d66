# Early oscillation: four times the learning rate. See docs/focal_loss_troubles.md.
_base_ = "../small.py"
optim_wrapper = dict(optimizer=dict(lr=0.04))
