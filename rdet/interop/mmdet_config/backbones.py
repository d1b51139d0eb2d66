"""Backbones of MMDetection's configs under rdet's names."""

from collections.abc import Callable
from typing import Any

from mmengine.runner.checkpoint import get_external_models

from rdet.backbone_of_weights import PVT_EPS
from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]
Maps = list[tuple[int, int, int]]  # (index, channels, stride) of each

_OF_TORCHVISION = "rdet's ResNet is torchvision's"
_BATCH_NORM = {"type": "BN", "requires_grad": True}
STRIDES, DILATIONS = (1, 2, 2, 2), (1, 1, 1, 1)
# strides and dilations of the four stages -> output_stride
DILATED = {
    ((1, 2, 2, 2), (1, 1, 1, 1)): 32,
    ((1, 2, 2, 1), (1, 1, 1, 2)): 16,
    ((1, 2, 1, 1), (1, 1, 2, 4)): 8,
}
# MMDetection's name of a RegNet -> timm's, and the channels of its stages.
_REGNETS = {
    "regnetx_400mf": ("regnetx_004", (32, 64, 160, 384)),
    "regnetx_800mf": ("regnetx_008", (64, 128, 288, 672)),
    "regnetx_1.6gf": ("regnetx_016", (72, 168, 408, 912)),
    "regnetx_3.2gf": ("regnetx_032", (96, 192, 432, 1008)),
    "regnetx_4.0gf": ("regnetx_040", (80, 240, 560, 1360)),
    "regnetx_6.4gf": ("regnetx_064", (168, 392, 784, 1624)),
    "regnetx_8.0gf": ("regnetx_080", (80, 240, 720, 1920)),
    "regnetx_12gf": ("regnetx_120", (224, 448, 896, 2240)),
}
# Width, blocks of the stages, and how much wider the blocks' inner layers are -> number of a PVTv2.
_PVTS = {
    (32, (2, 2, 2, 2), (8, 8, 4, 4)): 0,
    (64, (2, 2, 2, 2), (8, 8, 4, 4)): 1,
    (64, (3, 4, 6, 3), (8, 8, 4, 4)): 2,
    (64, (3, 4, 18, 3), (8, 8, 4, 4)): 3,
    (64, (3, 8, 27, 3), (8, 8, 4, 4)): 4,
    (64, (3, 6, 40, 3), (4, 4, 4, 4)): 5,
}
_HRNETS = (18, 30, 32, 40, 44, 48, 64)


def convert_backbone(entry: Entry) -> tuple[Maps, Cfg]:
    """Convert a backbone.

    Returns:
        (index, channels, stride) of each map that it gives there, the index as rdet counts, and rdet's config without
        ``out_indices``.

    Raises:
        ConfigError: rdet has no such network, or not its numbers.
    """
    if entry.kind not in _BACKBONES:
        entry.unknown()
    return _BACKBONES[entry.kind](entry)


def _resnet(entry: Entry) -> tuple[Maps, Cfg]:
    for key, value in {"deep_stem": False, "avg_down": False}.items():
        entry.expect(key, value, _OF_TORCHVISION)
    entry.expect("stem_channels", None, _OF_TORCHVISION, (64,))
    depth, style = entry.take("depth"), entry.take("style", "pytorch")
    cfg: Cfg = {"type": "ResNet", "depth": depth}
    if entry.kind == "ResNeXt":
        cfg |= {"groups": entry.take("groups", 1), "base_width": entry.take("base_width", 4)}
    cfg |= {} if style == "pytorch" else {"style": style}
    strides, dilations = tuple(entry.take("strides", STRIDES)), tuple(entry.take("dilations", DILATIONS))
    if (strides, dilations) not in DILATED:
        entry.refuse(
            f"is {strides} with dilations {dilations}; rdet has an output_stride of 32, 16 or 8 with holes of 2, or of "
            "2 and 4, in its place",
            "strides",
        )
    output_stride = DILATED[strides, dilations]
    if output_stride < 32:
        cfg |= {"output_stride": output_stride} | ({"dilate_first": True} if style == "pytorch" else {})
    width = 64 if depth in (18, 34) else 256
    maps = [(index, width * 2**index, min(4 * 2**index, output_stride)) for index in range(4)]
    return _stages(entry, maps), cfg | _deformable(entry) | _like_resnet(entry)


def _res2net(entry: Entry) -> tuple[Maps, Cfg]:
    entry.ignore("style", "deep_stem", "avg_down")  # MMDetection's Res2Net has them as it likes
    entry.expect("strides", STRIDES, "rdet's Res2Net has the usual ones")
    entry.expect("dilations", DILATIONS, "rdet's Res2Net has none")
    entry.expect("stem_channels", None, "rdet's Res2Net has the usual stem", (64,))
    cfg: Cfg = {"type": "Res2Net", "depth": entry.take("depth"), "pool_all": False}
    for key, usual in {"scales": 4, "base_width": 26}.items():
        given = entry.take(key, usual)
        cfg |= {} if given == usual else {key: given}
    maps = [(index, 256 * 2**index, 4 * 2**index) for index in range(4)]
    return _stages(entry, maps), cfg | _deformable(entry) | _like_resnet(entry)


def _regnet(entry: Entry) -> tuple[Maps, Cfg]:
    arch = entry.take("arch")
    if arch not in _REGNETS:
        entry.refuse(f"is {arch!r}; rdet has timm's {', '.join(_REGNETS)}", "arch")
    name, channels = _REGNETS[arch]
    same = {"strides": (2, 2, 2, 2), "dilations": (1, 1, 1, 1), "deep_stem": False, "avg_down": False, "dcn": None}
    for key, value in (same | {"stem_channels": 32, "base_channels": 32, "style": "pytorch"}).items():
        entry.expect(key, value, "rdet's RegNet is timm's")
    entry.ignore("stage_with_dcn")
    maps = [(index + 1, width, 4 * 2**index) for index, width in enumerate(channels)]
    return _stages(entry, maps), {"type": "TimmBackbone", "model_name": name} | _like_resnet(entry)


def _pvt_v2(entry: Entry) -> tuple[Maps, Cfg]:
    width, blocks = entry.take("embed_dims", 64), tuple(entry.take("num_layers", (3, 4, 6, 3)))
    ratios = tuple(entry.take("mlp_ratios", (8, 8, 4, 4)))
    if (width, blocks, ratios) not in _PVTS:
        entry.refuse(f"is {width} with num_layers {blocks}; rdet has timm's PVTv2-b0 to b5", "embed_dims")
    same = {"in_channels": 3, "num_stages": 4, "num_heads": (1, 2, 5, 8), "strides": (4, 2, 2, 2)}
    same |= {"sr_ratios": (8, 4, 2, 1), "qkv_bias": True, "drop_rate": 0.0, "attn_drop_rate": 0.0}
    for key, value in (same | {"act_cfg": {"type": "GELU"}, "norm_cfg": {"type": "LN", "eps": PVT_EPS}}).items():
        entry.expect(key, value, "rdet's PVTv2 is timm's")
    entry.ignore("pretrain_img_size", "convert_weights", "pretrained")
    start = entry.entry("init_cfg")
    source = None if start is None else start.needed("checkpoint")
    if start is not None:
        start.ignore("type")
    cfg: Cfg = {
        "type": "TimmBackbone",
        "model_name": f"pvt_v2_b{_PVTS[width, blocks, ratios]}",
        "norm_eps": PVT_EPS,
        "drop_path_rate": entry.take("drop_path_rate", 0.1),
        "frozen_stages": 0,
        "weights": source,
    }
    maps = [(index, width * heads, 4 * 2**index) for index, heads in enumerate((1, 2, 5, 8))]
    chosen = list(entry.needed("out_indices", (0, 1, 2, 3)))
    return [maps[index] for index in chosen], cfg


def _hrnet(entry: Entry) -> tuple[Maps, Cfg]:
    extra = entry.required("extra")
    stages = {number: extra.required(f"stage{number}") for number in (1, 2, 3, 4)}
    width = next(iter(stages[4].take("num_channels", (0,))))
    if width not in _HRNETS:
        stages[4].refuse(
            f"is {width} and more; rdet has timm's HRNets of {', '.join(map(str, _HRNETS))}", "num_channels"
        )
    for number, modules, block in ((1, 1, "BOTTLENECK"), (2, 1, "BASIC"), (3, 4, "BASIC"), (4, 3, "BASIC")):
        widths = (64,) if number == 1 else tuple(width * 2**branch for branch in range(number))
        same = {"num_modules": modules, "num_branches": number, "block": block, "num_blocks": (4,) * number}
        for key, value in (same | {"num_channels": widths}).items():
            stages[number].expect(key, value, "rdet's HRNet is timm's")
    for key, value in {"in_channels": 3, "conv_cfg": None, "multiscale_output": True}.items():
        entry.expect(key, value, "rdet's HRNet is timm's")
    cfg: Cfg = {
        "type": "TimmBackbone",
        "model_name": f"hrnet_w{width}",
        "model_args": {"feature_location": ""},
        "norm_eval": entry.take("norm_eval", True),
        "frozen_stages": 0,
    }
    _plain_norm(entry, "timm's")
    entry.ignore("with_cp", "pretrained", "zero_init_residual")
    return [(index + 1, width * 2**index, 4 * 2**index) for index in range(4)], cfg | {"weights": weights_of(entry)}


_BACKBONES: dict[str | None, Callable[[Entry], tuple[Maps, Cfg]]] = {
    "ResNet": _resnet,
    "ResNeXt": _resnet,
    "Res2Net": _res2net,
    "RegNet": _regnet,
    "PyramidVisionTransformerV2": _pvt_v2,
    "HRNet": _hrnet,
}


def _stages(entry: Entry, maps: Maps) -> Maps:
    stages, indices = entry.needed("num_stages", 4), list(entry.needed("out_indices", (0, 1, 2, 3)))
    if not set(indices) <= set(range(stages)):
        entry.refuse(f"is {indices}, but num_stages is {stages}", "out_indices")
    return [maps[index] for index in indices]


def _deformable(entry: Entry) -> Cfg:
    stages = entry.take("stage_with_dcn", (False,) * 4)
    dcn = entry.entry("dcn")
    if dcn is None or not any(stages):
        return {}
    if dcn.kind not in ("DCN", "DCNv2"):
        dcn.unknown()
    dcn.expect("fallback_on_stride", False, "rdet's deformable convolutions have the stride")
    groups = dcn.take("deform_groups", 1)
    groups = dcn.take("deformable_groups", groups)  # mmcv's old name
    cfg: Cfg = {"dcn_stages": tuple(index for index, there in enumerate(stages) if there)}
    cfg |= {} if groups == 1 else {"dcn_groups": groups}
    return cfg | ({} if dcn.kind == "DCNv2" else {"dcn_modulated": False})


def _like_resnet(entry: Entry) -> Cfg:
    """Convert what ResNet and the networks that derive from it there share."""
    entry.ignore("pretrained")
    entry.expect("in_channels", 3, _OF_TORCHVISION)
    entry.expect("conv_cfg", None, _OF_TORCHVISION)
    entry.expect("plugins", None, "rdet's backbones have none")
    if entry.kind != "RegNet":
        entry.expect("base_channels", 64, _OF_TORCHVISION)
    if entry.take("with_cp", False):
        entry.note(f"{entry.place}.with_cp (activation_checkpointing is rdet's key for it)")
    frozen = entry.needed("frozen_stages", -1)
    if frozen == 0:
        entry.refuse("is 0, which freezes the stem alone; rdet freezes the stem with the first stage", "frozen_stages")
    cfg: Cfg = {}
    if entry.kind == "RegNet":
        _plain_norm(entry, "timm's")
    else:
        norm = dict(entry.needed("norm_cfg", _BATCH_NORM))
        if norm.get("requires_grad", True):
            norm.pop("requires_grad", None)
        cfg |= {} if norm == {"type": "BN"} else {"norm_cfg": norm}
    cfg |= {"frozen_stages": max(frozen, 0), "norm_eval": entry.take("norm_eval", True)}
    cfg["weights"] = weights_of(entry)
    if entry.take("zero_init_residual", True) and cfg["weights"] is None:
        entry.note(f"{entry.place}.zero_init_residual (rdet's blocks without weights do not start from 0)")
    return cfg


def _plain_norm(entry: Entry, whose: str) -> None:
    norm = dict(entry.needed("norm_cfg", _BATCH_NORM))
    if plain(norm) not in (plain(_BATCH_NORM), {"type": "BN"}):
        entry.refuse(f"is {norm}; rdet's network is {whose}, with batch normalisation that is trained", "norm_cfg")


def weights_of(entry: Entry) -> str | None:
    """Convert ``init_cfg`` of a backbone: where its weights are; None without any."""
    start = entry.entry("init_cfg")
    if start is None:
        return None
    if start.kind != "Pretrained":
        entry.refuse("rdet starts a backbone from weights, or as torchvision does", "init_cfg")
    start.ignore("prefix", "map_location")
    source: str = start.needed("checkpoint")
    if not source.startswith("open-mmlab://"):
        return source
    name = source.removeprefix("open-mmlab://")
    addresses: dict[str, str] = get_external_models()
    if name not in addresses:
        start.refuse(f"is {source!r}, of which mmengine knows no address", "checkpoint")
    return addresses[name]
