# Early oscillation: the focal loss without the prior of section 4.1. See docs/focal_loss_troubles.md.
_base_ = "../small.py"
model = dict(bbox_head=dict(prior_prob=0.5))
