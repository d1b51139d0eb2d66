"""Losses of MMDetection's configs under rdet's names."""

from collections.abc import Callable
from typing import Any

from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]


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
