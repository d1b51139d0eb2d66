"""Assigners of MMDetection's configs under rdet's names."""

from typing import Any

from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]


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
