# Table 1d: OHEM 1:3, a minibatch of 256 priors an image, non-maximum suppression at 0.5.
_base_ = "../retinanet_r101_600.py"
model = dict(
    loss_cls=dict(_delete_=True, type="CrossEntropyLoss"),
    mining=dict(type="OHEM", batch_size=256, nms_thr=0.5, neg_pos_ratio=3),
)
