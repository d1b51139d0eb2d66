# SimOTA (YOLOX, 2021), which sees the predictions.
_base_ = "./base.py"
model = dict(assigner=dict(_delete_=True, type="SimOTAAssigner"))
