# Table 3: the focal loss, gamma 2.
_base_ = "../retinanet_r50_600.py"
