# DSSD513, first of two stages: deconvolutions and predictors learn on an SSD that does not change.
#   python tools/train.py configs/ssd/dssd513_r101_frozen_coco.py --cfg-options load_from=SSD513.pth
# SSD513.pth is a checkpoint of ssd513_r101_coco.py; the first layers of its prediction modules, which are of other
# widths, start anew.
# That the 130k iterations are the paper's too was not checked against its text.
_base_ = "./ssd513_r101_coco.py"
model = dict(backbone=dict(frozen_stages=4), neck=dict(type="DSSDNeck", deconv_channels=512, frozen_ssd=True))
train_cfg = dict(max_iters=130000)
_base_.param_scheduler[1].update(end=130000, milestones=[80000])
