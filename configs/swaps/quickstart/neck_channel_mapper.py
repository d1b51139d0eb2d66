# Every level from its own map, without a top-down path.
_base_ = "./base.py"
model = dict(neck=dict(_delete_=True, type="ChannelMapper", out_channels=128))
