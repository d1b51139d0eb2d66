# RetinaNet with one choice among the classes and the background, the softmax focal loss, instead of K binary ones.
#   python tools/train.py configs/retinanet/r50_fpn_1x_coco_softmax_focal_loss.py
# `alpha` may be a list: one weight for each class and one for the background. Not trained in full by this project.
_base_ = "./r50_fpn_1x_coco.py"
model = dict(loss_cls=dict(_delete_=True, type="SoftmaxFocalLoss", alpha=0.25, gamma=2.0))
