# Table 2, "DSSD513, ResNet-101-DSSD" of Fu et al.: the second of the two stages of its training.
_base_ = "../../ssd/dssd513_r101_coco.py"
