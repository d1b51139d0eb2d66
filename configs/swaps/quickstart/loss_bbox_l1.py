# L1, as MMDetection and torchvision have it.
_base_ = "./base.py"
model = dict(loss_bbox=dict(_delete_=True, type="L1Loss"))
