# The quickstart's detector with a head, an assigner and a loss of one's own; see docs/custom_parts.md.
#   PYTHONPATH=examples/custom_parts python tools/train.py examples/custom_parts/my_detector.py
_base_ = "../../configs/quickstart/retinanet_lite0_fpn_quickstart.py"
custom_imports = dict(imports=["my_parts"])
model = dict(
    bbox_head=dict(_delete_=True, type="OneTowerHead", depth=2),
    assigner=dict(_delete_=True, type="SameSizeAssigner", max_ratio=1.6),
    loss_cls=dict(_delete_=True, type="PolyFocalLoss", epsilon=1.0),
)
