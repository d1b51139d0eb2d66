# YOLOX-nano, trained on COCO by its authors, fine-tuned on the generated data set.
#   python tools/make_quickstart.py
#   python tools/train.py configs/quickstart/yolox_nano_quickstart.py
# What it reaches: docs/yolox.md.
_base_ = [
    "../_base_/models/yolox_nano_finetuned.py",
    "../_base_/datasets/quickstart.py",
    "../_base_/schedules/small_data.py",
]
_iters = 100
train_cfg = dict(by_epoch=False, max_iters=_iters, val_interval=_iters)
default_hooks = dict(checkpoint=dict(interval=_iters))
