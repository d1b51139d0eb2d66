"""Towers of heads of MMDetection's configs, which all heads have, and how they start."""

from typing import Any

from rdet.interop.mmdet_config.around import Around
from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]


def towers(head: Entry, around: Around, kind: str, norm: Cfg | None, stacked_convs: int = 4) -> Cfg:
    """Convert what all heads have: the towers, their normalisation and their start."""
    if head.take("in_channels") != around.channels:
        head.refuse(f"is not {around.channels}, the out_channels of the neck", "in_channels")
    head.expect("conv_cfg", None, "rdet's heads have plain convolutions")
    norm = head.take("norm_cfg", norm)
    cfg: Cfg = {
        "type": kind,
        "feat_channels": head.take("feat_channels", 256),
        "stacked_convs": head.take("stacked_convs", stacked_convs),
        "prior_prob": _prior_prob(head),
    }
    if norm is not None:
        cfg["norm_cfg"] = {key: value for key, value in norm.items() if (key, value) != ("requires_grad", True)}
    if kind in ("FCOSHead", "VFNetHead") and (bias := head.take("conv_bias", "auto")) != "auto":
        cfg["conv_bias"] = bias
    return cfg


def _prior_prob(head: Entry) -> float:
    """Read how a head starts: as rdet's do, normal with 0.01, and a probability of the foreground."""
    start = head.entry("init_cfg")
    if start is None:
        return 0.01
    override = start.entry("override") or Entry({}, start.place, start.notes)
    same = start.kind == "Normal" and plain(start.take("layer")) == "Conv2d" and start.take("std") == 0.01
    override.ignore("name", "std")
    if not same or override.kind not in (None, "Normal"):
        head.refuse("rdet's heads start from a normal distribution of deviation 0.01", "init_cfg")
    prior_prob: float = override.take("bias_prob", 0.01)
    return prior_prob
