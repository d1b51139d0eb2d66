"""State dicts as MMDetection 3.3 has them, made from names and shapes."""

import zlib
from functools import cache

import torch
from torch import Tensor
from torchvision.models import resnet as tv

FAMILIES = ("RetinaNet", "FCOS", "ATSS", "GFL", "VFNet", "TOOD", "DDOD")
BACKBONES = {
    18: (tv.BasicBlock, [2, 2, 2, 2]),
    34: (tv.BasicBlock, [3, 4, 6, 3]),
    50: (tv.Bottleneck, [3, 4, 6, 3]),
    101: (tv.Bottleneck, [3, 4, 23, 3]),
}


def shapes(
    family: str, depth: int = 50, groups: int = 1, base_width: int = 64, classes: int = 80, width: int = 256, bias=False
) -> dict[str, tuple[int, ...]]:
    """MMDetection's name -> shape. ``width``: of the pyramid and the head; ``bias``: as in FCOS's second head."""
    block, layers = BACKBONES[depth]
    with torch.device("meta"):
        network = tv.ResNet(block, layers, groups=groups, width_per_group=base_width)
    found = {f"backbone.{name}": tuple(value.shape) for name, value in network.state_dict().items() if name[:2] != "fc"}

    def conv(name: str, out: int, into: int = width, size: int = 3, bias: bool = True, norm: bool = False) -> None:
        found[f"{name}.weight"] = (out, into, size, size)
        if bias:
            found[f"{name}.bias"] = (out,)
        if norm:
            for end in ("weight", "bias"):
                found[f"{name.removesuffix('.conv')}.gn.{end}"] = (out,)

    for level, factor in enumerate((2, 4, 8)):
        conv(f"neck.lateral_convs.{level}.conv", width, 64 * factor * block.expansion, 1)
    for level in range(5):
        from_c5 = family == "RetinaNet" and level == 3
        conv(f"neck.fpn_convs.{level}.conv", width, 512 * block.expansion if from_c5 else width)
    head = "bbox_head."
    if family == "TOOD":
        for layer in range(6):
            conv(f"{head}inter_convs.{layer}.conv", width, bias=False, norm=True)
        for task in ("cls_decomp", "reg_decomp"):
            conv(f"{head}{task}.layer_attention.0", 6 * width // 48, 6 * width, 1)
            conv(f"{head}{task}.layer_attention.2", 6, 6 * width // 48, 1)
            conv(f"{head}{task}.reduction_conv.conv", width, 6 * width, 1, bias=False, norm=True)
        for module, out in (("cls_prob_module", 1), ("reg_offset_module", 8)):
            conv(f"{head}{module}.0", width // 4, 6 * width, 1)
            conv(f"{head}{module}.2", out, width // 4)
    else:
        for tower in ("cls_convs", "reg_convs"):
            for layer in range(3 if family == "VFNet" else 4):
                norm = family != "RetinaNet"
                conv(f"{head}{tower}.{layer}.conv", width, bias=bias or not norm, norm=norm)
            if family == "DDOD":
                conv(f"{head}{tower}.0.conv.conv_offset", 18)
    prefix = {"RetinaNet": "retina", "FCOS": "conv", "DDOD": "atss"}.get(family, family.lower())
    conv(f"{head}{prefix}_cls", classes * (9 if family == "RetinaNet" else 1))
    conv(f"{head}{prefix}_reg", {"RetinaNet": 36, "GFL": 68}.get(family, 4))
    if family in ("FCOS", "ATSS"):
        conv(f"{head}{prefix}_centerness", 1)
    if family == "DDOD":
        conv(f"{head}atss_iou", 1)
    if family == "GFL":
        found[f"{head}integral.project"] = (17,)
    if family == "VFNet":
        conv(f"{head}vfnet_reg_conv.conv", width, bias=False, norm=True)
        conv(f"{head}vfnet_reg_refine_dconv", width, bias=False)
        conv(f"{head}vfnet_reg_refine", 4)
        conv(f"{head}vfnet_cls_dconv", width, bias=False)
    for scales in {"RetinaNet": (), "VFNet": ("scales", "scales_refine")}.get(family, ("scales",)):
        for level in range(5):
            found[f"{head}{scales}.{level}.scale"] = ()
    return found


def weights(of: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Values that depend on a weight's name alone, so that two weights never are the same by chance."""
    return {name: _values(name, tuple(shape)).clone() for name, shape in of.items()}


@cache
def _values(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith("integral.project"):
        return torch.linspace(0, shape[0] - 1, shape[0])
    values = torch.rand(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        return values + 0.5
    if len(shape) == 4:
        return (values - 0.5) * (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
    return values
