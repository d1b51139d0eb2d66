"""Whether the parts of a detector go together."""

from collections.abc import Iterable

import torch

from rdet.models.detectors.offers import check_inputs, inputs_of

# What a part may name in its call, see the detector.
_IMAGE = ("priors", "grid", "boxes", "ignored", "labels", "level_lengths", "scores", "predicted")
_IMAGES = ("priors", "grid", "boxes", "box_counts", "ignored", "ignored_counts", "level_lengths")
_POSITIVES = (
    *("priors", "boxes", "labels", "objects", "num_objects", "deltas", "target_deltas", "predicted", "scores"),
    *("max_scores", "quality", "quality_logits"),
)
_OFFERED = {
    "assigner": _IMAGE,
    "loss_cls": ("logits", "labels", "quality"),
    **dict.fromkeys(("loss_bbox", "loss_dfl", "loss_quality", "bbox_weight", "cls_mass"), _POSITIVES),
    "quality": tuple(name for name in _POSITIVES if name != "quality"),
    "mining": ("losses", "labels", "priors"),
}


def names_quality(parts: Iterable) -> bool:
    """Whether the call of one of ``parts``, which may be None, names the quality."""
    return any("quality" in inputs_of(part) for part in parts if part is not None)


def check_parts(detector) -> None:
    """Raises ValueError if a part of a detector needs what no other part gives."""
    for name, offered in _OFFERED.items():
        if getattr(detector, name) is not None:
            if name == "assigner" and "box_counts" in inputs_of(detector.assigner):
                offered = _IMAGES
            check_inputs(getattr(detector, name), offered, f"model.{name}")
    named = names_quality(getattr(detector, name) for name in _OFFERED if name not in ("quality", "assigner", "mining"))
    if named and detector.quality is None:
        raise ValueError("a loss or weight of the model names the quality: set model.quality")
    if detector.quality is not None and not named:
        raise ValueError("model.quality is set, but no loss or weight of the model names it; remove it")
    _check_divisors(detector)
    _check_boxes(detector.bbox_head, detector.bbox_coder, detector.loss_bbox, detector.loss_dfl)


def _check_divisors(detector) -> None:
    """Raises ValueError if two parts would both say what a loss is divided by."""
    if detector.mining is not None and detector.cls_mass is not None:
        raise ValueError("model.mining and model.cls_mass both say what loss_cls is divided by; remove one of them")
    others = [name for name in ("mining", "cls_mass", "bbox_weight") if getattr(detector, name) is not None]
    if getattr(detector.normalizer, "keeps_state", False) and others:
        raise ValueError(
            f"model.normalizer: {type(detector.normalizer).__name__} keeps one state, and model.{others[0]} would have "
            "it count two things; take BatchNormalizer or ImageNormalizer"
        )


def _check_boxes(head, coder, loss_bbox, loss_dfl) -> None:
    """Raises ValueError if head, coder and box losses do not speak of the same numbers."""
    wanted = getattr(head, "encoding", None)
    if wanted is not None and getattr(coder, "encoding", wanted) != wanted:
        raise ValueError(
            f"model.bbox_head: {type(head).__name__} predicts {wanted}, but {type(coder).__name__} decodes "
            f"{coder.encoding}; take a coder of {wanted}, such as DistancePointBBoxCoder"
        )
    corners = torch.zeros(1, 4)
    corners[:, 2:] = 8
    encoded = coder.encode(corners, corners).shape[-1]
    if "deltas" in inputs_of(loss_bbox) and coder.box_dim != encoded:
        raise ValueError(
            f"model.loss_bbox: {type(loss_bbox).__name__} compares encoded boxes, but {type(coder).__name__} predicts "
            f"{coder.box_dim} numbers for the {encoded} it encodes; take a loss on decoded boxes, such as GIoULoss"
        )
    if loss_dfl is not None and coder.box_dim == encoded:
        raise ValueError(
            f"model.loss_dfl needs a distribution of each side, which {type(coder).__name__} has not; remove it"
        )
