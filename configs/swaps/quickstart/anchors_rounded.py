# torchvision's whole-numbered anchors.
_base_ = "./base.py"
model = dict(anchor_generator=dict(rounded=True))
