"""Necks of MMDetection's configs under rdet's names."""

from typing import Any, NamedTuple

from rdet.interop.mmdet_config.backbones import Maps
from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]

_XAVIER = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}
_CAFFE_XAVIER = {"type": "Caffe2Xavier", "layer": "Conv2d"}


class Levels(NamedTuple):
    """What a head gets.

    Attributes:
        strides: One a level.
        channels: Of all levels.
    """

    strides: list[int]
    channels: int


def convert_necks(entries: list[Entry], maps: Maps) -> tuple[list[int], Cfg, Levels]:
    """Convert a neck, or a list of necks that stand behind each other.

    Args:
        entries: The necks.
        maps: (index, channels, stride) of each map of the backbone.

    Returns:
        The maps that are read, rdet's config, and what the levels are.

    Raises:
        ConfigError: rdet has no such neck, or not its numbers.
    """
    first, *others = entries
    if first.kind not in _NECKS:
        first.unknown()
    used, cfg, levels = _NECKS[first.kind](first, maps)
    chain = [cfg]
    for entry in others:
        if entry.kind != "DyHead":
            entry.unknown()
        found, levels = _dyhead(entry, levels)
        chain.append(found)
    return used, (cfg if len(chain) == 1 else {"type": "NeckChain", "necks": chain}), levels


def _check_channels(entry: Entry, maps: Maps) -> None:
    channels = [width for _, width, _ in maps]
    if list(entry.take("in_channels") or ()) != channels:
        entry.refuse(f"is not {channels}, the channels of the backbone", "in_channels")


def _fpn(entry: Entry, maps: Maps) -> tuple[list[int], Cfg, Levels]:
    _check_channels(entry, maps)
    for key in ("conv_cfg", "act_cfg"):
        entry.expect(key, None, "rdet's FPN has plain convolutions")
    norm = entry.take("norm_cfg")
    bare = entry.take("no_norm_on_lateral", False)
    entry.expect("upsample_cfg", {"mode": "nearest"}, "rdet's FPN takes the nearest neighbour")
    entry.expect("init_cfg", _XAVIER, "rdet's FPN starts as Lin et al. have it", (None,))
    start, end, count = entry.take("start_level", 0), entry.take("end_level", -1), entry.needed("num_outs")
    used = maps[start:] if end in (-1, len(maps) - 1) else maps[start : end + 1]
    extra = count - len(used)
    if extra < 0 or (extra and len(used) < len(maps[start:])):
        entry.refuse(f"is {count} for {len(used)} maps of the backbone", "num_outs")
    kind = entry.take("add_extra_convs", False)
    relu = entry.take("relu_before_extra_convs", False)
    sources = {"on_input": "on_c5", "on_output": "on_p5", "on_lateral": "on_lateral", True: "on_c5"}
    cfg: Cfg = {"type": "FPN", "out_channels": entry.needed("out_channels")}
    if extra:
        if kind not in sources:
            how = "made by pooling" if kind is False else f"made {kind!r}"
            entry.refuse(f"is {kind!r}; rdet has no extra levels {how}", "add_extra_convs")
        cfg["extra_levels"] = sources[kind]
    cfg |= {} if extra == 2 else {"num_extra": extra}
    cfg |= {"relu_before_p7": relu} if extra > 1 else {}
    if norm is not None:
        cfg["norm_cfg"] = {key: value for key, value in norm.items() if (key, value) != ("requires_grad", True)}
        cfg |= {"norm_on_lateral": False} if bare else {}
    strides = [stride for *_, stride in used]
    strides += [strides[-1] * 2 ** (level + 1) for level in range(extra)]
    return [index for index, *_ in used], cfg, Levels(strides, cfg["out_channels"])


def _dilated_encoder(entry: Entry, maps: Maps) -> tuple[list[int], Cfg, Levels]:
    index, width, stride = maps[-1]
    if entry.take("in_channels") != width:
        entry.refuse(f"is not {width}, the channels of the backbone's last map", "in_channels")
    count, dilations = entry.needed("num_residual_blocks"), list(entry.needed("block_dilations"))
    if count > len(dilations):
        entry.refuse(f"is {count}, but there are {len(dilations)} block_dilations", "num_residual_blocks")
    cfg = {
        "type": "DilatedEncoder",
        "out_channels": entry.needed("out_channels"),
        "block_channels": entry.take("block_mid_channels"),
        "dilations": dilations[:count],
    }
    return [index], cfg, Levels([stride], cfg["out_channels"])


def _hrfpn(entry: Entry, maps: Maps) -> tuple[list[int], Cfg, Levels]:
    _check_channels(entry, maps)
    entry.expect("conv_cfg", None, "rdet's HRFPN has plain convolutions")
    entry.expect("init_cfg", _CAFFE_XAVIER, "rdet's HRFPN starts as Lin et al. have it", (None,))
    entry.ignore("norm_cfg", "with_cp")  # MMDetection reads the first, and gives it to no layer
    pooling = {"AVG": "average", "MAX": "max"}.get(entry.take("pooling_type", "AVG"), "max")
    stride, count = entry.take("stride", 1), entry.needed("num_outs", 5)
    cfg: Cfg = {"type": "HRFPN", "out_channels": entry.needed("out_channels"), "stride": stride}
    cfg |= {} if count == 5 else {"num_levels": count}
    cfg |= {} if pooling == "average" else {"pooling": pooling}
    strides = [maps[0][2] * stride * 2**level for level in range(count)]
    return [index for index, *_ in maps], cfg, Levels(strides, cfg["out_channels"])


def _dyhead(entry: Entry, levels: Levels) -> tuple[Cfg, Levels]:
    if entry.take("in_channels") != levels.channels:
        entry.refuse(f"is not {levels.channels}, the channels of the neck before", "in_channels")
    entry.expect("init_cfg", None, "rdet's DyHead starts as its authors have it")
    entry.expect("zero_init_offset", True, "rdet's DyHead starts without offsets", (False,))
    channels = entry.needed("out_channels")
    return {
        "type": "DyHead",
        "out_channels": channels,
        "num_blocks": entry.take("num_blocks", 6),
    }, levels._replace(channels=channels)


_NECKS = {"FPN": _fpn, "HRFPN": _hrfpn, "DilatedEncoder": _dilated_encoder}
