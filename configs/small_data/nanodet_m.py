# NanoDet-m from its authors' COCO weights, for data of your own.
#   python tools/train.py configs/small_data/nanodet_m.py --data DIR --minutes 30
# What it reaches: docs/which_detector.md. An export of it, of a file: --cfg-options load_from=nanodet_m_416.onnx.
_base_ = [
    "../_base_/models/nanodet_m_finetuned.py",
    "../_base_/datasets/small_data.py",
    "../_base_/schedules/small_data.py",
]
