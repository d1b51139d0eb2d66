# YOLOX-nano from its authors' COCO weights, for data of your own.
#   python tools/train.py configs/small_data/yolox_nano.py --data DIR --minutes 30
# What it reaches: docs/which_detector.md. An export of it, of a file: --cfg-options load_from=yolox_nano.onnx.
_base_ = [
    "../_base_/models/yolox_nano_finetuned.py",
    "../_base_/datasets/small_data.py",
    "../_base_/schedules/small_data.py",
]
model = dict(postprocess=dict(topk_per_level=1000))
