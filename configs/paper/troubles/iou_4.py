# Low recall of positives: more of them, foreground from IoU 0.4. See docs/focal_loss_troubles.md.
_base_ = "../small.py"
model = dict(assigner=dict(pos_iou_thr=0.4, neg_iou_thr=0.3))
