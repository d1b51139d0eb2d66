# NanoDet-m for other data, from its authors' weights. The load_from of an exported ONNX file does as well (pip install
# onnx), as docs/interop.md says.
_base_ = "./nanodet_m.py"
load_from = "nanodet://nanodet_m_416"
# An exported file has its batch normalisation inside the convolutions, and few images do not replace COCO's statistics.
model = dict(backbone=dict(norm_eval=True, weights=None), bbox_head=dict(norm_eval=True))
