# Overfitting on hard examples: a quarter of the boxes have a wrong class. See docs/focal_loss_troubles.md.
_base_ = "../small.py"
train_dataloader = dict(dataset=dict(ann_file="annotations/train_wrong_labels.json"))
