"""MMDetection's YOLOv3 under rdet's names."""

from typing import Any

from rdet.interop.mmdet_config.priors import check_strides
from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]

_NORM = {"type": "BN", "requires_grad": True}
_LEAKY = {"type": "LeakyReLU", "negative_slope": 0.1}
_PLAIN = "rdet's YOLOv3 has it so alone"
_STRIDES = [32, 16, 8]  # MMDetection counts levels from the highest
_BINARY = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
_SQUARES = {"type": "MSELoss", "loss_weight": 1.0}
_SIDE = 608  # of images, in which MMDetection's head has 8 objects on a map at first


def convert_backbone(entry: Entry) -> tuple[list[int], Cfg]:
    """Convert a Darknet-53 or a MobileNetV2, but for its weights: channels of its three maps, and rdet's config."""
    if entry.kind not in ("Darknet", "MobileNetV2"):
        entry.unknown()
    entry.expect("conv_cfg", None, _PLAIN)
    entry.expect("norm_cfg", _NORM if entry.kind == "Darknet" else {"type": "BN"}, _PLAIN, (_NORM, {"type": "BN"}))
    entry.expect("frozen_stages", -1, "rdet counts stages otherwise; set model.backbone.frozen_stages afterwards")
    entry.ignore("with_cp", "pretrained")
    if entry.kind == "Darknet":
        entry.expect("depth", 53, "rdet has Darknet-53 alone")
        entry.expect("out_indices", (3, 4, 5), _PLAIN)
        entry.expect("act_cfg", _LEAKY, _PLAIN)
        return [256, 512, 1024], {"type": "Darknet53", "norm_eval": entry.take("norm_eval", True)}
    entry.expect("widen_factor", 1.0, "rdet has torchvision's MobileNetV2")
    if tuple(entry.needed("out_indices", (1, 2, 4, 7))) != (2, 4, 6):
        entry.refuse("is not (2, 4, 6), the maps of strides 8, 16 and 32", "out_indices")
    act = entry.take("act_cfg", {"type": "ReLU6"})
    cfg: Cfg = {"type": "TorchvisionBackbone", "model_name": "mobilenet_v2"}
    cfg |= {} if act == {"type": "ReLU6"} else {"act_cfg": act}
    return [32, 96, 320], cfg | {"norm_eval": entry.take("norm_eval", False)}


def convert_neck(entry: Entry, channels: list[int]) -> Cfg:
    """Convert the neck."""
    if entry.kind != "YOLOV3Neck":
        entry.unknown()
    _check_layers(entry)
    entry.expect("num_scales", 3, _PLAIN)
    if list(entry.needed("in_channels")) != channels[::-1]:
        entry.refuse(f"is not {channels[::-1]}, the channels of the backbone", "in_channels")
    return {"type": "YOLOv3Neck", "out_channels": list(entry.needed("out_channels"))[::-1]}


def convert_head(entry: Entry, train_cfg: Entry, neck: Cfg) -> Cfg:
    """Convert the head with what is nested in it: slots of rdet's model."""
    if entry.kind != "YOLOV3Head":
        entry.unknown()
    _check_layers(entry)
    if list(entry.needed("in_channels")) != neck["out_channels"][::-1]:
        entry.refuse(f"is not {neck['out_channels'][::-1]}, the channels of the neck", "in_channels")
    check_strides(entry, "featmap_strides", _STRIDES, _STRIDES)
    entry.expect("one_hot_smoother", 0.0, "rdet's classes of YOLOv3 are not smoothed")
    coder = entry.required("bbox_coder", {"type": "YOLOBBoxCoder"})
    if coder.kind != "YOLOBBoxCoder":
        coder.unknown()
    eps = coder.take("eps", 1e-6)
    anchors = entry.required("anchor_generator")
    if anchors.kind != "YOLOAnchorGenerator":
        anchors.unknown()
    check_strides(anchors, "strides", _STRIDES)
    sizes = [[tuple(size) for size in level] for level in reversed(anchors.needed("base_sizes"))]
    center, size = _loss(entry, "loss_xy", _BINARY), _loss(entry, "loss_wh", _SQUARES)
    widths = list(entry.needed("out_channels", (1024, 512, 256)))[::-1]
    return {
        "bbox_head": {
            "type": "YOLOHead",
            "feat_channels": widths,
            "object_prob": [8 / (_SIDE / stride) ** 2 for stride in reversed(_STRIDES)],
        },
        "anchor_generator": {"type": "FittedAnchorGenerator", "sizes": sizes, "center_offset": 0.5},
        "bbox_coder": {"type": "YOLOBBoxCoder"} | ({} if eps == 1e-6 else {"eps": eps}),
        "assigner": _assigner(train_cfg),
        "loss_cls": {"type": "PositiveCrossEntropyLoss"} | _weight(_loss(entry, "loss_cls", _BINARY)),
        "quality": {"type": "UnitQuality"},
        "loss_bbox": {"type": "CellBoxLoss", "center_weight": center, "size_weight": size},
        "loss_obj": {"type": "CrossEntropyLoss"} | _weight(_loss(entry, "loss_conf", _BINARY)),
        "normalizer": {"type": "SumNormalizer"},
    }


def _check_layers(entry: Entry) -> None:
    entry.expect("conv_cfg", None, _PLAIN)
    entry.expect("norm_cfg", _NORM, _PLAIN, ({"type": "BN"},))
    entry.expect("act_cfg", _LEAKY, _PLAIN)
    entry.ignore("init_cfg")


def _loss(head: Entry, key: str, default: Cfg) -> float:
    """Read a loss of the head, which must be of the usual kind: its weight."""
    entry = head.required(key, default)
    if entry.kind != default["type"]:
        entry.unknown()
    entry.expect("reduction", "sum", "rdet's losses of YOLOv3 are sums")
    if "use_sigmoid" in default:
        entry.expect("use_sigmoid", True, "rdet's losses of YOLOv3 are binary")
        entry.expect("class_weight", None, _PLAIN)
    weight: float = entry.needed("loss_weight", 1.0)
    return weight


def _weight(weight: float) -> Cfg:
    return {} if weight == 1 else {"loss_weight": weight}


def _assigner(train_cfg: Entry) -> Cfg:
    entry = train_cfg.required("assigner")
    if entry.kind != "GridAssigner":
        entry.unknown()
    sampler = train_cfg.entry("sampler")
    if sampler is not None and sampler.kind != "PseudoSampler":
        sampler.unknown()
    entry.expect("gt_max_assign_all", True, "rdet gives a box all priors that it overlaps most")
    similarity = entry.required("iou_calculator", {"type": "BboxOverlaps2D"})
    if similarity.kind != "BboxOverlaps2D":
        similarity.unknown()
    low = entry.take("neg_iou_thr")
    if not isinstance(low, int | float):
        entry.refuse(f"is {plain(low)!r}; rdet has one number", "neg_iou_thr")
    cfg = {"type": "GridAssigner", "pos_iou_thr": entry.take("pos_iou_thr"), "neg_iou_thr": low}
    smallest = entry.take("min_pos_iou", 0.0)
    return cfg | ({"min_pos_iou": smallest} if smallest else {}) | {"ignore_iof_thr": None}
