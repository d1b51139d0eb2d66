# Table 2, "SSD513, ResNet-101-SSD" of Fu et al., with their schedule and augmentation.
_base_ = "../../ssd/ssd513_r101_coco.py"
