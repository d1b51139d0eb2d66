# DSSD513, second of two stages: all layers learn. 33.2 box AP on COCO's test-dev (Fu et al., "DSSD", arXiv:1701.06659).
#   python tools/train.py configs/ssd/dssd513_r101_coco.py --cfg-options load_from=FIRST_STAGE.pth
# FIRST_STAGE.pth is a checkpoint of dssd513_r101_frozen_coco.py. That the 40k iterations are the
# paper's too was not checked against its text. Not trained in full here.
_base_ = "./dssd513_r101_frozen_coco.py"
model = dict(backbone=dict(frozen_stages=0), neck=dict(frozen_ssd=False))
train_cfg = dict(max_iters=40000)
_base_.param_scheduler[1].update(end=40000, milestones=[20000])
