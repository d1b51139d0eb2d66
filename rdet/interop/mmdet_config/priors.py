"""Anchors and coders of boxes of MMDetection's configs under rdet's names."""

from typing import Any

from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]


def anchor_generator(entry: Entry, strides: list[int]) -> Cfg:
    """Convert the anchors.

    Args:
        entry: ``anchor_generator`` of a head.
        strides: Of the levels that the neck gives.

    Raises:
        ConfigError: rdet has no such anchors, or the strides are not those of the levels.
    """
    if entry.kind != "AnchorGenerator":
        entry.unknown()
    check_strides(entry, "strides", strides)
    entry.expect("centers", None, "rdet's anchors have one center_offset")
    entry.ignore("use_box_type")
    ratios = list(entry.needed("ratios"))
    bases = entry.take("base_sizes") or strides
    scale_major = entry.take("scale_major", True)
    first, per_octave = entry.take("octave_base_scale"), entry.take("scales_per_octave")
    scales = entry.take("scales")
    offset = entry.take("center_offset", 0.0)
    offset = {"center_offset": offset} if offset else {}
    if scales is None:
        first, per_octave = entry.needed("octave_base_scale"), entry.needed("scales_per_octave")
        scales = [first * 2 ** (index / per_octave) for index in range(per_octave)]
    else:
        scales = [scales] if isinstance(scales, int | float) else list(scales)
        first, per_octave = scales[0], len(scales)
    octaves = [first * 2 ** (index / per_octave) for index in range(per_octave)]
    in_octaves = all(abs(scale - octave) < 1e-9 * octave for scale, octave in zip(scales, octaves, strict=True))
    one_order = scale_major or len(scales) == 1 or len(ratios) == 1
    if in_octaves and one_order and list(bases) == list(strides):
        return {
            "type": "AnchorGenerator",
            "octave_base_scale": first,
            "scales_per_octave": per_octave,
            "ratios": ratios,
            **offset,
        }
    pairs = [(r, s) for r in ratios for s in scales] if scale_major else [(r, s) for s in scales for r in ratios]
    sizes = [[(base * s / r**0.5, base * s * r**0.5) for r, s in pairs] for base in bases]
    entry.remark(
        f"{entry.place}: scales {[round(scale, 4) for scale in scales]}, ratios {ratios} and base sizes {list(bases)} "
        "are no octaves in rdet's order; the sizes of all anchors, (width, height) for each level, are written out"
    )
    return {"type": "FittedAnchorGenerator", "sizes": sizes, **offset}


def check_strides(entry: Entry, key: str, strides: list[int], default: Any = None) -> None:
    """Read ``strides`` and raise a ConfigError if they are not those of the neck's levels."""
    given = entry.take(key, default)
    given = [value[0] if isinstance(value, list | tuple) and len(set(value)) == 1 else value for value in given or ()]
    if given != strides:
        entry.refuse(f"is {given}; the levels of the neck have {strides}", key)


def square_anchors(entry: Entry, strides: list[int]) -> Cfg:
    """Convert anchors of which a cell must have one square; raise a ConfigError if it has others."""
    cfg = anchor_generator(entry, strides)
    if cfg["type"] != "AnchorGenerator" or plain(cfg["ratios"]) != [1.0] or cfg["scales_per_octave"] != 1:
        entry.refuse("this head has one square anchor a cell in rdet")
    return cfg


def delta_coder(entry: Entry) -> tuple[Cfg, bool]:
    """Convert a coder of deltas, and say whether boxes are clipped to the image."""
    _check_coder(entry, "DeltaXYWHBBoxCoder")
    shift = {"max_shift": entry.take("ctr_clamp", 32)} if entry.take("add_ctr_clamp", False) else {}
    entry.ignore("ctr_clamp")
    cfg: Cfg = {"type": "DeltaXYWHBBoxCoder", **shift}
    means, stds = list(entry.needed("target_means", (0.0,) * 4)), list(entry.needed("target_stds", (1.0,) * 4))
    cfg |= {} if not any(means) else {"target_means": means}
    cfg |= {} if plain(stds) == [1.0] * 4 else {"target_stds": stds}
    return cfg | ({} if shift else {"clamp_both_sides": True}), entry.take("clip_border", True)


def _check_coder(entry: Entry, wanted: str) -> None:
    if entry.kind in ("DeltaXYWHBBoxCoder", "DistancePointBBoxCoder") and entry.kind != wanted:
        entry.refuse(f"{entry.kind} does not go with this head; it has {wanted}")
    if entry.kind != wanted:
        entry.unknown()


def distance_coder(entry: Entry) -> bool:
    """Read a coder of distances, and say whether boxes are clipped to the image."""
    _check_coder(entry, "DistancePointBBoxCoder")
    clip: bool = entry.take("clip_border", True)
    return clip
