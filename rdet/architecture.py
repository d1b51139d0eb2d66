"""Which detector weights belong to, from their names and shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

# Final classification layer in MMDetection's names -> family. FCOS comes last: older ATSS heads have both names.
CLASS_LAYERS = {
    "retina_cls": "RetinaNet",
    "atss_cls": "ATSS",
    "gfl_cls": "GFL",
    "vfnet_cls": "VFNet",
    "tood_cls": "TOOD",
    "object_pred": "YOLOF",
    "fcos_cls": "FCOS",  # before MMDetection 2.0
    "conv_centerness": "FCOS",
}

# Blocks of the four stages, and whether they have three convolutions -> depth of a ResNet.
_DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}


@dataclass(frozen=True)
class Architecture:
    """What names and shapes of weights tell of a detector.

    Attributes:
        family: ``'RetinaNet'``, ``'FCOS'``, ``'ATSS'``, ``'GFL'``, ``'VFNet'``, ``'TOOD'`` or ``'YOLOF'``;
            or ``'FCOS or ATSS'``, whose names and shapes are the same in rdet.
        depth: Of the ResNet.
        groups, base_width: Of its 3x3 convolutions; 1 and 64 unless it is a ResNeXt.
        num_classes: K.
        num_priors: Priors at each cell.
        head_norm: ``'GN'``, ``'BN'`` or None, the normalisation in the head's towers.
        head_bias: Whether the towers' convolutions have a bias.
        stacked_convs: Convolutions of a tower.
        feat_channels: Their channels.
        neck_channels: Channels of the pyramid.
        reg_max: The last of the distances that a side's distribution is over; None without one.
        mmdet: Whether the weights are MMDetection's, as their names tell.
    """

    family: str
    depth: int
    groups: int
    base_width: int
    num_classes: int
    num_priors: int
    head_norm: str | None
    head_bias: bool
    stacked_convs: int
    feat_channels: int
    neck_channels: int
    reg_max: int | None
    mmdet: bool

    def __str__(self) -> str:
        """Describe it, for example ``GFL with ResNet-101, group normalisation in the head, 80 classes``."""
        backbone = f"ResNet-{self.depth}"
        if self.groups > 1:
            backbone = f"ResNeXt-{self.depth}-{self.groups}x{self.base_width}d"
        norm = {"GN": "group", "BN": "batch", None: "no"}[self.head_norm]
        return f"{self.family} with {backbone}, {norm} normalisation in the head, {self.num_classes} classes"

    @property
    def config(self) -> str:
        """Path of the config that the weights go with, below the repository's folder; two where both may be meant."""
        if self.family == "YOLOF":
            return "configs/yolof/r50_c5_1x_coco_mmdet.py"
        end = "1x_coco_mmdet.py" if self.mmdet else "1x_coco.py"
        names = dict.fromkeys(self.family.split(" or "), f"r50_fpn_{end}")
        if "FCOS" in names and self.mmdet and not self.head_bias:  # of its released heads, the second has a bias
            names["FCOS"] = f"r50_fpn_iccv2019_{end}"
        return " or ".join(f"configs/{family.lower()}/{name}" for family, name in names.items())

    @property
    def options(self) -> dict[str, object]:
        """What a config of the family with ResNet-50 and the usual head needs changed: dotted key -> value."""
        options: dict[str, object] = {}
        if self.depth != 50:
            options["model.backbone.depth"] = self.depth
        if self.groups > 1:
            options |= {"model.backbone.groups": self.groups, "model.backbone.base_width": self.base_width}
        usual = {"RetinaNet": None, "YOLOF": "BN"}.get(self.family, "GN")
        if self.head_norm != usual:
            norm = {"GN": {"type": "GN", "num_groups": 32}, "BN": {"type": "BN"}, None: None}[self.head_norm]
            options["model.bbox_head.norm_cfg"] = norm
        if self.stacked_convs != {"VFNet": 3, "TOOD": 6, "YOLOF": 2}.get(self.family, 4):
            options["model.bbox_head.stacked_convs"] = self.stacked_convs
        width = 512 if self.family == "YOLOF" else 256
        if self.neck_channels != width:
            options["model.neck.out_channels"] = self.neck_channels
        if self.feat_channels != width:
            options["model.bbox_head.feat_channels"] = self.feat_channels
        if self.reg_max not in (None, 16):
            options["model.bbox_coder.reg_max"] = self.reg_max
        return options

    @property
    def advice(self) -> str:
        """What it is and the config it goes with, for messages."""
        options = "".join(f" {key}={value}" for key, value in self.options.items())
        return f"{self}; it goes with {self.config}{f' and --cfg-options{options}' if options else ''}"


def architecture_of(weights: Mapping[str, Tensor]) -> Architecture | None:
    """Recognise a detector by the names and shapes of its weights, MMDetection's names or rdet's.

    Args:
        weights: Name -> tensor.

    Returns:
        None if it is none of these families with a ResNet.
    """
    layers = {name.split(".")[1] for name in weights if name.startswith("bbox_head.")}
    mmdet = any(layer in layers for layer in CLASS_LAYERS)
    family = _family(layers, mmdet)
    backbone = resnet_of(weights)
    if family is None or backbone is None:
        return None
    if family == "YOLOF":
        return _yolof(weights, mmdet, backbone)
    prefix = {"RetinaNet": "retina", "FCOS": "fcos" if "fcos_cls" in layers else "conv"}.get(family, family.lower())
    cls, reg = (f"{prefix}_cls", f"{prefix}_reg") if mmdet else ("conv_cls", "conv_reg")
    tower = {(True, True): "inter_convs", (False, True): "shared_convs"}.get((mmdet, family == "TOOD"), "cls_convs")
    of_classes, of_boxes = weights.get(f"bbox_head.{cls}.weight"), weights.get(f"bbox_head.{reg}.weight")
    lateral = weights.get(f"neck.lateral_convs.0{'.conv' if mmdet else ''}.weight")
    if of_classes is None or of_boxes is None or lateral is None:
        return None
    if any(weight.ndim != 4 for weight in (of_classes, of_boxes, lateral)):
        return None
    priors = of_boxes.shape[0] // 4 if family == "RetinaNet" else 1
    if not priors or of_classes.shape[0] % priors:
        return None
    depth, groups, base_width = backbone
    convs = {name.split(".")[2] for name in weights if name.startswith(f"bbox_head.{tower}.")}
    norms = [kind for kind in ("GN", "BN") if f"bbox_head.{tower}.0.{kind.lower()}.weight" in weights]
    return Architecture(
        family,
        depth,
        groups,
        base_width,
        num_classes=of_classes.shape[0] // priors,
        num_priors=priors,
        head_norm=norms[0] if norms else None,
        head_bias=f"bbox_head.{tower}.0.conv.bias" in weights,
        stacked_convs=len(convs),
        feat_channels=of_classes.shape[1],
        neck_channels=lateral.shape[0],
        reg_max=of_boxes.shape[0] // 4 - 1 if family == "GFL" else None,
        mmdet=mmdet,
    )


def resnet_of(weights: Mapping[str, Tensor]) -> tuple[int, int, int] | None:
    """Return depth, groups and base width of the ResNet below ``backbone.``, or None if it is another network."""
    blocks: dict[int, set[int]] = {}
    for name in weights:
        _, layer, block, *_ = [*name.split("."), "", ""] if name.startswith("backbone.layer") else ("", "", "", "")
        if layer.removeprefix("layer").isdigit() and block.isdigit():
            blocks.setdefault(int(layer.removeprefix("layer")), set()).add(int(block))
    counts = tuple(len(blocks[layer]) for layer in sorted(blocks))
    deep = "backbone.layer1.0.conv3.weight" in weights
    conv2 = weights.get("backbone.layer1.0.conv2.weight")
    if (counts, deep) not in _DEPTHS or conv2 is None or conv2.ndim != 4:
        return None
    width, of_a_group = conv2.shape[:2]
    return _DEPTHS[counts, deep], width // of_a_group, of_a_group


def _yolof(weights: Mapping[str, Tensor], mmdet: bool, backbone: tuple[int, int, int]) -> Architecture | None:
    """Recognise a YOLOF, whose neck has one level."""
    tower, cls, reg = ("cls_subnet", "cls_score", "bbox_pred") if mmdet else ("cls_convs", "conv_cls", "conv_reg")
    names = ("neck.lateral_conv.weight", f"bbox_head.{cls}.weight", f"bbox_head.{reg}.weight")
    found = [weights[name] for name in names if name in weights and weights[name].ndim == 4]
    if len(found) < len(names):
        return None
    lateral, of_classes, of_boxes = found
    priors = of_boxes.shape[0] // 4
    if not priors or of_classes.shape[0] % priors:
        return None
    norms = [kind for kind in ("GN", "BN") if f"bbox_head.{tower}.0.{kind.lower()}.weight" in weights]
    return Architecture(
        "YOLOF",
        *backbone,
        num_classes=of_classes.shape[0] // priors,
        num_priors=priors,
        head_norm=norms[0] if norms else None,
        head_bias=f"bbox_head.{tower}.0.conv.bias" in weights,
        stacked_convs=len({name.split(".")[2] for name in weights if name.startswith(f"bbox_head.{tower}.")}),
        feat_channels=of_classes.shape[1],
        neck_channels=lateral.shape[0],
        reg_max=None,
        mmdet=mmdet,
    )


def _family(layers: set[str], mmdet: bool) -> str | None:
    if mmdet:
        return next(family for layer, family in CLASS_LAYERS.items() if layer in layers)
    if "conv_cls" not in layers:
        return None
    if "conv_object" in layers:
        return "YOLOF"
    if "conv_alignment" in layers:
        return "TOOD"
    if "cls_star_conv" in layers:
        return "VFNet"
    if "conv_quality" in layers:
        return "FCOS or ATSS"
    return "GFL" if "scales" in layers else "RetinaNet"
