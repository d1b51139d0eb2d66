"""Which detector weights belong to, from their names and shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from rdet.backbone_of_weights import BackboneOfWeights, backbone_of
from rdet.neck_of_weights import NeckOfWeights, neck_of

# A layer that only a head of MMDetection has, mostly the final one of the classes -> family. The first that is there
# counts: DDOD's heads have ATSS's names, too, and older ATSS heads have FCOS's.
CLASS_LAYERS = {
    "retina_cls": "RetinaNet",
    "atss_iou": "DDOD",
    "atss_cls": "ATSS",
    "gfl_cls": "GFL",
    "vfnet_cls": "VFNet",
    "tood_cls": "TOOD",
    "object_pred": "YOLOF",
    "fcos_cls": "FCOS",  # before MMDetection 2.0
    "conv_centerness": "FCOS",
}

# Numbers of a deformable convolution without factors at a place; FCOS's last, which may be its first, has factors.
_DDOD_OFFSETS = 18


@dataclass(frozen=True)
class Architecture:
    """What names and shapes of weights tell of a detector.

    Attributes:
        family: ``'RetinaNet'``, ``'FCOS'``, ``'ATSS'``, ``'DDOD'``, ``'GFL'``, ``'VFNet'``, ``'TOOD'`` or ``'YOLOF'``;
            or ``'FCOS or ATSS'``, whose names and shapes are the same in rdet.
        backbone: The network below the neck.
        neck: The pyramid between both.
        num_classes: K.
        num_priors: Priors at each cell.
        head_norm: ``'GN'``, ``'BN'`` or None, the normalisation in the head's towers.
        head_bias: Whether the towers' convolutions have a bias.
        stacked_convs: Convolutions of a tower.
        deformable_convs: How many of these are deformable: the first of TOOD and DDOD, of others the last.
        feat_channels: Their channels.
        pred_kernel_size: Of the final convolutions.
        reg_max: The last of the distances that a side's distribution is over; None without one.
        mmdet: Whether the weights are MMDetection's, as their names tell.
    """

    family: str
    backbone: BackboneOfWeights
    neck: NeckOfWeights
    num_classes: int
    num_priors: int
    head_norm: str | None
    head_bias: bool
    stacked_convs: int
    deformable_convs: int
    feat_channels: int
    pred_kernel_size: int
    reg_max: int | None
    mmdet: bool

    def __str__(self) -> str:
        """Describe it, for example ``GFL with ResNet-101, group normalisation in the head, 80 classes``."""
        norm = {"GN": "group", "BN": "batch", None: "no"}[self.head_norm]
        below = (
            self.backbone.name
            if self.neck.name in ("FPN", "DilatedEncoder")
            else f"{self.backbone.name}-{self.neck.name}"
        )
        return f"{self.family} with {below}, {norm} normalisation in the head, {self.num_classes} classes"

    @property
    def config(self) -> str:
        """Path of the config that the weights go with, below the repository's folder; two where both may be meant."""
        if self.family == "YOLOF":
            return "configs/yolof/r50_c5_1x_coco_mmdet.py"
        if self.family == "DDOD":
            return "configs/ddod/r50_fpn_1x_coco_mmdet.py"
        end = "1x_coco_mmdet.py" if self.mmdet else "1x_coco.py"
        names = dict.fromkeys(self.family.split(" or "), f"r50_fpn_{end}")
        if "FCOS" in names and self.mmdet and not self.head_bias:  # of its released heads, the second has a bias
            names["FCOS"] = f"r50_fpn_iccv2019_{end}"
        return " or ".join(f"configs/{family.lower()}/{name}" for family, name in names.items())

    @property
    def options(self) -> dict[str, object]:
        """What a config of the family with ResNet-50 and the usual head needs changed: dotted key -> value."""
        options = self.backbone.options | self.neck.options
        usual = {"RetinaNet": None, "YOLOF": "BN"}.get(self.family, "GN")
        if self.head_norm != usual and self.stacked_convs:
            norm = {"GN": {"type": "GN", "num_groups": 32}, "BN": {"type": "BN"}, None: None}[self.head_norm]
            options["model.bbox_head.norm_cfg"] = norm
        if self.stacked_convs != {"VFNet": 3, "TOOD": 6, "YOLOF": 2}.get(self.family, 4):
            options["model.bbox_head.stacked_convs"] = self.stacked_convs
        if self.family == "DDOD":
            if not self.deformable_convs:  # MMDetection's `use_dcn=False`
                options["model.bbox_head.type"] = "ATSSHead"
        elif self.deformable_convs:
            key = "num_dcn" if self.family == "TOOD" else "dcn_on_last_conv"
            options[f"model.bbox_head.{key}"] = self.deformable_convs if self.family == "TOOD" else True
        if self.feat_channels != (512 if self.family == "YOLOF" else 256):
            options["model.bbox_head.feat_channels"] = self.feat_channels
        if self.pred_kernel_size != 3:
            options["model.bbox_head.pred_kernel_size"] = self.pred_kernel_size
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
        None if it is none of these families, or of another backbone or neck.
    """
    layers = {name.split(".")[1] for name in weights if name.startswith("bbox_head.")}
    mmdet = any(layer in layers for layer in CLASS_LAYERS)
    family = _family(layers, mmdet, weights)
    backbone = backbone_of(weights)
    if family is None or backbone is None:
        return None
    neck = neck_of(weights)
    if family == "YOLOF":
        return _yolof(weights, mmdet, backbone, neck)
    prefixes = {"RetinaNet": "retina", "DDOD": "atss", "FCOS": "fcos" if "fcos_cls" in layers else "conv"}
    prefix = prefixes.get(family, family.lower())
    cls, reg = (f"{prefix}_cls", f"{prefix}_reg") if mmdet else ("conv_cls", "conv_reg")
    tower = {(True, True): "inter_convs", (False, True): "shared_convs"}.get((mmdet, family == "TOOD"), "cls_convs")
    of_classes, of_boxes = weights.get(f"bbox_head.{cls}.weight"), weights.get(f"bbox_head.{reg}.weight")
    if of_classes is None or of_boxes is None or neck is None or of_classes.ndim != 4 or of_boxes.ndim != 4:
        return None
    priors = of_boxes.shape[0] // 4 if family == "RetinaNet" else 1
    if not priors or of_classes.shape[0] % priors:
        return None
    convs = {name.split(".")[2] for name in weights if name.startswith(f"bbox_head.{tower}.")}
    norms = [kind for kind in ("GN", "BN") if f"bbox_head.{tower}.0.{kind.lower()}.weight" in weights]
    return Architecture(
        family,
        backbone,
        neck,
        num_classes=of_classes.shape[0] // priors,
        num_priors=priors,
        head_norm=norms[0] if norms else None,
        head_bias=f"bbox_head.{tower}.0.conv.bias" in weights,
        stacked_convs=len(convs),
        deformable_convs=sum(f"bbox_head.{tower}.{conv}.conv.conv_offset.weight" in weights for conv in convs),
        feat_channels=of_classes.shape[1],
        pred_kernel_size=of_classes.shape[-1],
        reg_max=of_boxes.shape[0] // 4 - 1 if family == "GFL" else None,
        mmdet=mmdet,
    )


def _yolof(
    weights: Mapping[str, Tensor], mmdet: bool, backbone: BackboneOfWeights, neck: NeckOfWeights | None
) -> Architecture | None:
    """Recognise a YOLOF, whose neck has one level."""
    tower, cls, reg = ("cls_subnet", "cls_score", "bbox_pred") if mmdet else ("cls_convs", "conv_cls", "conv_reg")
    names = (f"bbox_head.{cls}.weight", f"bbox_head.{reg}.weight")
    found = [weights[name] for name in names if name in weights and weights[name].ndim == 4]
    if len(found) < len(names) or neck is None:
        return None
    of_classes, of_boxes = found
    priors = of_boxes.shape[0] // 4
    if not priors or of_classes.shape[0] % priors:
        return None
    norms = [kind for kind in ("GN", "BN") if f"bbox_head.{tower}.0.{kind.lower()}.weight" in weights]
    return Architecture(
        "YOLOF",
        backbone,
        neck,
        num_classes=of_classes.shape[0] // priors,
        num_priors=priors,
        head_norm=norms[0] if norms else None,
        head_bias=f"bbox_head.{tower}.0.conv.bias" in weights,
        stacked_convs=len({name.split(".")[2] for name in weights if name.startswith(f"bbox_head.{tower}.")}),
        feat_channels=of_classes.shape[1],
        deformable_convs=0,
        pred_kernel_size=3,
        reg_max=None,
        mmdet=mmdet,
    )


def _family(layers: set[str], mmdet: bool, weights: Mapping[str, Tensor]) -> str | None:
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
        offsets = weights.get("bbox_head.cls_convs.0.conv.conv_offset.weight")
        return "FCOS or ATSS" if offsets is None or len(offsets) != _DDOD_OFFSETS else "DDOD"
    return "GFL" if "scales" in layers else "RetinaNet"
