# Table 1d: the focal loss, with which the nine settings of OHEM are compared.
_base_ = "../retinanet_r101_600.py"
