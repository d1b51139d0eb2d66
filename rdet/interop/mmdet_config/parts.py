"""Losses, anchors, coders and assigners of MMDetection's configs under rdet's names."""

from collections.abc import Callable
from typing import Any

from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]

# ---- losses


def loss_cls(entry: Entry, kinds: tuple[str, ...], activated: bool = False) -> Cfg:
    """Convert the loss of the classes.

    Args:
        entry: ``loss_cls`` of a head.
        kinds: What the head can do with.
        activated: Whether the head hands probabilities to the loss, in place of logits.

    Raises:
        ConfigError: rdet has no loss with its numbers.
    """
    if entry.kind not in _CLASS_LOSSES:
        entry.unknown()
    if entry.kind not in kinds:
        entry.refuse(f"{entry.kind} does not go with this head in MMDetection; it takes {' or '.join(kinds)}")
    if entry.kind in ("FocalLoss", "QualityFocalLoss"):
        given = entry.take("activated", False)
        if given != activated:
            entry.refuse(f"is {given!r}; this head gives {'probabilities' if activated else 'logits'}", "activated")
    cfg = _CLASS_LOSSES[entry.kind](entry)
    return cfg | _weight(entry)


def _focal(entry: Entry) -> Cfg:
    entry.expect("use_sigmoid", True, "MMDetection's FocalLoss has sigmoids alone")
    return {"type": "FocalLoss", "alpha": entry.take("alpha", 0.25), "gamma": entry.take("gamma", 2.0)}


def _cross_entropy(entry: Entry) -> Cfg:
    if entry.take("use_sigmoid", False) is not True:
        entry.refuse("is not True; rdet has no softmax over the classes and a logit of the background", "use_sigmoid")
    entry.expect("use_mask", False, "rdet has no masks")
    entry.expect("class_weight", None, "there it weighs the positives of a class alone, in rdet its negatives too")
    entry.expect("ignore_index", None, "rdet has no such label")
    entry.expect("avg_non_ignore", False, "rdet's losses do not average")
    return {"type": "CrossEntropyLoss"}


def _quality_focal(entry: Entry) -> Cfg:
    entry.expect("use_sigmoid", True, "rdet has sigmoids alone")
    return {"type": "QualityFocalLoss", "beta": entry.take("beta", 2.0)}


def _varifocal(entry: Entry) -> Cfg:
    entry.expect("use_sigmoid", True, "rdet has sigmoids alone")
    entry.expect("iou_weighted", True, "rdet weighs positives by their quality")
    return {"type": "VarifocalLoss", "alpha": entry.take("alpha", 0.75), "gamma": entry.take("gamma", 2.0)}


def _ghm_classes(entry: Entry) -> Cfg:
    entry.expect("use_sigmoid", True, "rdet has sigmoids alone")
    return {"type": "GHMC", "bins": entry.take("bins", 10), "momentum": entry.take("momentum", 0)}


_CLASS_LOSSES = {
    "GHMC": _ghm_classes,
    "FocalLoss": _focal,
    "CrossEntropyLoss": _cross_entropy,
    "QualityFocalLoss": _quality_focal,
    "VarifocalLoss": _varifocal,
}


def loss_bbox(entry: Entry, decoded: bool, distribution: bool = False) -> Cfg:
    """Convert a loss of boxes.

    Args:
        entry: ``loss_bbox`` of a head.
        decoded: Whether it compares boxes, or their encodings.
        distribution: Whether a box is encoded as a distribution, which no loss of boxes compares.

    Raises:
        ConfigError: rdet has no loss with its numbers.
    """
    if entry.kind not in (*_DECODED, *_ENCODED):
        entry.unknown()
    if decoded != (entry.kind in _DECODED):
        what, takes = ("decoded", _DECODED) if decoded else ("encoded", _ENCODED)
        way = f"; {child_config(entry.kind)}"
        if distribution:
            way = ""
        elif not decoded:
            way = "; set reg_decoded_bbox=True in the source's head, with which MMDetection compares boxes too"
        entry.refuse(f"{entry.kind} on {what} boxes is not in rdet, which has {', '.join(takes)} for them{way}")
    return (_DECODED | _ENCODED)[entry.kind](entry) | _weight(entry)


def child_config(kind: str = "SmoothL1Loss") -> str:
    """Say how a detector of rdet gets a loss that compares encoded boxes, where the source's head has none."""
    return (
        f"convert with an IoU loss, then in a child config loss_bbox=dict(_delete_=True, type={kind!r}), "
        "which compares encoded boxes"
    )


def _iou(entry: Entry) -> Cfg:
    mode = "linear" if entry.take("linear", False) else entry.take("mode", "log")
    if mode not in ("log", "linear"):
        entry.refuse(f"is {mode!r}; rdet has 'log' and 'linear'", "mode")
    entry.ignore("mode", "eps")
    return {"type": "IoULoss"} | ({} if mode == "log" else {"mode": mode})


def _overlap(entry: Entry) -> Cfg:
    entry.ignore("eps")
    return {"type": entry.kind}


def _smooth_l1(entry: Entry) -> Cfg:
    return {"type": "SmoothL1Loss", "beta": entry.take("beta", 1.0)}


def _balanced_l1(entry: Entry) -> Cfg:
    entry.expect("beta", 1.0, "rdet has 1.0 alone")
    return {"type": "BalancedL1Loss", "alpha": entry.take("alpha", 0.5), "gamma": entry.take("gamma", 1.5)}


def _ghm_boxes(entry: Entry) -> Cfg:
    numbers = {key: entry.take(key, value) for key, value in {"mu": 0.02, "bins": 10, "momentum": 0}.items()}
    return {"type": "GHMR", **numbers, "loss_weight": 1.0}


_DECODED: dict[str, Callable[[Entry], Cfg]] = {"IoULoss": _iou, "GIoULoss": _overlap, "DIoULoss": _overlap}
_ENCODED: dict[str, Callable[[Entry], Cfg]] = {
    "L1Loss": lambda entry: {"type": "L1Loss"},
    "SmoothL1Loss": _smooth_l1,
    "BalancedL1Loss": _balanced_l1,
    "GHMR": _ghm_boxes,
}


def loss_quality(entry: Entry) -> Cfg:
    """Convert ``loss_centerness``."""
    if entry.kind != "CrossEntropyLoss":
        entry.unknown()
    _cross_entropy(entry)
    return {"type": "BinaryCrossEntropyLoss"} | _weight(entry)


def loss_dfl(entry: Entry) -> Cfg:
    """Convert ``loss_dfl``: a mean over the four sides there, their sum here."""
    if entry.kind != "DistributionFocalLoss":
        entry.unknown()
    entry.expect("reduction", "mean", "rdet's losses sum, and are divided once")
    return {"type": "DistributionFocalLoss", "loss_weight": entry.needed("loss_weight", 1.0) / 4}


def _weight(entry: Entry) -> Cfg:
    entry.expect("reduction", "mean", "rdet's losses sum, and are divided once")
    weight = entry.needed("loss_weight", 1.0)
    return {} if weight == 1 else {"loss_weight": weight}


# ---- priors and boxes


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


# ---- assigners


def assigner(entry: Entry, kind: str, padding: str) -> Cfg:
    """Convert the assigner of RetinaNet and SSD, or of ATSS and its kin.

    Args:
        entry: ``assigner`` of a ``train_cfg``.
        kind: The one that the head calls in MMDetection.
        padding: What priors beyond an image are, see :class:`rdet.models.assigners.base.Assigner`.

    Raises:
        ConfigError: rdet has no assigner with its numbers.
    """
    if entry.kind in _ASSIGNERS and entry.kind != kind:
        entry.refuse(f"{entry.kind} does not go with this head in MMDetection; it calls {kind}")
    if entry.kind != kind:
        entry.unknown()
    return _ASSIGNERS[entry.kind](entry) | _common(entry, padding)


def _common(entry: Entry, padding: str) -> Cfg:
    """Check what measures overlaps, and give the keys that all assigners have."""
    similarity = entry.required("iou_calculator", {"type": "BboxOverlaps2D"})
    if similarity.kind != "BboxOverlaps2D":
        similarity.unknown()
    return {"ignore_iof_thr": None} | padded(padding)


def padded(padding: str) -> Cfg:
    """Give the assigner's key for a ``padding``; the default is left out."""
    return {} if padding == "background" else {"padding": padding}


def _crowds(entry: Entry) -> None:
    threshold = entry.needed("ignore_iof_thr", -1)
    if threshold > 0:
        entry.refuse(
            f"is {threshold}; there priors inside crowds are ignored even if matched, in rdet background alone",
            "ignore_iof_thr",
        )


def _max_iou(entry: Entry) -> Cfg:
    _crowds(entry)
    first_alone = not entry.take("gt_max_assign_all", True)
    entry.expect("perm_repeat_gt_cfg", None, "rdet does not permute boxes")
    entry.ignore("ignore_wrt_candidates", "gpu_assign_thr")
    low = entry.take("neg_iou_thr")
    if not isinstance(low, int | float):
        entry.refuse(f"is {low!r}; rdet has one number", "neg_iou_thr")
    cfg: Cfg = {"type": "MaxIoUAssigner", "pos_iou_thr": entry.take("pos_iou_thr"), "neg_iou_thr": low}
    smallest = entry.take("min_pos_iou", 0.0)
    if not entry.take("match_low_quality", True):
        return cfg | {"match_low_quality": False}
    cfg |= {"first_best_alone": True} if first_alone else {}
    return cfg | ({"min_pos_iou": smallest} if smallest else {}) | {"reassign_low_quality": True}


def _atss(entry: Entry) -> Cfg:
    _crowds(entry)
    entry.expect("alpha", None, "rdet's ATSSAssigner does not look at predictions")
    return {"type": "ATSSAssigner", "topk": entry.take("topk"), "inside_margin": 0.01}


def aligned_atss(entry: Entry, padding: str) -> Cfg:
    """Convert an assigner of DDOD: ATSS's, with a share of the predicted boxes in the ratings."""
    alpha = entry.take("alpha")
    if entry.kind != "ATSSAssigner" or alpha is None:
        return assigner(entry, "ATSSAssigner", padding)
    _crowds(entry)
    return {
        "type": "AlignedATSSAssigner",
        "topk": entry.take("topk"),
        "alpha": alpha,
        "inside_margin": 0.01,
        **_common(entry, padding),
    }


_ASSIGNERS = {"MaxIoUAssigner": _max_iou, "ATSSAssigner": _atss}


def task_aligned(entry: Entry, alpha: float, beta: float, padding: str) -> Cfg:
    """Convert TOOD's assigner. ``alpha`` and ``beta`` are the exponents, which ``train_cfg`` has there."""
    if entry.kind != "TaskAlignedAssigner":
        entry.unknown()
    return {
        "type": "TaskAlignedAssigner",
        "topk": entry.take("topk"),
        "alpha": alpha,
        "beta": beta,
        "topk_of": "all",
        "inside_margin": 0.01,
        **_common(entry, padding),
    }


def uniform(entry: Entry, padding: str) -> Cfg:
    """Convert YOLOF's assigner."""
    if entry.kind != "UniformAssigner":
        entry.unknown()
    return {
        "type": "UniformAssigner",
        "topk": entry.take("match_times", 4),
        "pos_ignore_thr": entry.take("pos_ignore_thr"),
        "neg_ignore_thr": entry.take("neg_ignore_thr"),
        **_common(entry, padding),
    }


def fcos_assigner(entry: Entry, strides: list[int], padding: str) -> Cfg:
    """Convert the ranges and centre sampling that FCOS's head has.

    Raises:
        ConfigError: The ranges are not the same in strides at each level.
    """
    unlimited = 1e8
    default = [(-1, 64), (64, 128), (128, 256), (256, 512), (512, unlimited)]
    ranges = [tuple(pair) for pair in entry.take("regress_ranges", default)]
    sampling, radius = entry.take("center_sampling", False), entry.take("center_sample_radius", 1.5)
    if len(ranges) != len(strides):
        entry.refuse(f"has {len(ranges)} ranges for {len(strides)} levels", "regress_ranges")
    lows = {low / stride for (low, _), stride in zip(ranges[1:], strides[1:], strict=True)}
    highs = {high / stride for (_, high), stride in zip(ranges[:-1], strides[:-1], strict=True)}
    if len(lows) > 1 or len(highs) > 1 or ranges[0][0] > 0 or ranges[-1][1] < unlimited:
        entry.refuse(f"is {ranges}; rdet has one range in strides for all levels", "regress_ranges")
    cfg: Cfg = {"type": "FCOSAssigner"}
    low, high = (lows or {4.0}).pop(), (highs or {8.0}).pop()
    if (low, high) != (4.0, 8.0):
        cfg["regress_range"] = [low, high]
    cfg["center_sampling_radius"] = radius if sampling else None
    return cfg | {"include_lower": True, "ignore_iof_thr": None} | padded(padding)
