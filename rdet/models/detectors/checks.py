"""Whether the parts of a detector go together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rdet.errors import ConfigError, PartError
from rdet.models.assigners.base import Assigner
from rdet.models.coders.base import BBoxCoder
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.level_weights.base import LevelWeight
from rdet.models.losses.base import ClassificationLoss, EncodedBoxLoss, PositiveLoss
from rdet.models.losses.normalizers import Normalizer
from rdet.models.mining.base import Mining
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.models.quality.base import Quality
from rdet.structures import DensePredictions
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.shapes import checked, checked_indices, name_of

# Slot -> what its part derives from, by which the detector knows how to call it.
BASES: dict[str, type] = {
    "bbox_head": BaseDenseHead,
    "assigner": Assigner,
    "bbox_coder": BBoxCoder,
    "loss_cls": ClassificationLoss,
    "loss_bbox": PositiveLoss,
    "loss_bbox_initial": PositiveLoss,
    "loss_dfl": PositiveLoss,
    "loss_quality": PositiveLoss,
    "loss_obj": ClassificationLoss,
    "loss_l1": PositiveLoss,
    "normalizer": Normalizer,
    "quality": Quality,
    "bbox_weight": Quality,
    "cls_mass": Quality,
    "mining": Mining,
    "level_weight": LevelWeight,
    "postprocess": DensePostprocess,
}


def check_base(slot: str, part: object) -> None:
    """Raise ConfigError if the part of a slot does not derive from the slot's base."""
    base = BASES.get(slot)
    if base is not None and not isinstance(part, base):
        raise ConfigError(
            f"model.{slot}: {type(part).__name__} does not derive from {base.__name__}; derive it from that of "
            f"{base.__module__}, or from a class below it"
        )


def check_levels_are_said(slot: str, part: nn.Module) -> None:
    """Raise ConfigError if a backbone or neck does not say the width and stride of each of its maps."""
    for name, what in {"out_channels": "channels", "strides": "strides"}.items():
        numbers = getattr(part, name, None)
        if not isinstance(numbers, list | tuple) or not all(isinstance(number, int) for number in numbers):
            raise ConfigError(
                f"model.{slot}: {type(part).__name__}.{name} is {numbers!r}; it must be the {what} of its maps, a list"
            )


def check_levels(levels: Sequence[Tensor], neck: nn.Module) -> None:
    """Raise PartError if a neck does not give the maps (N, C, H_l, W_l) that it says it gives."""
    found, said = [x.shape[1] for x in levels], list(neck.out_channels)  # type: ignore[arg-type]  # checked when built
    if found != said:
        raise PartError(
            f"{name_of('neck', neck)} gave {len(found)} maps of {found} channels; its out_channels say {said}"
        )


def check_boxes(head: BaseDenseHead, coder: BBoxCoder, criterion: DenseCriterion) -> None:
    """Raise ConfigError if head, coder and losses of boxes do not speak of the same numbers."""
    if head.encoding not in (None, coder.encoding):
        raise ConfigError(
            f"model.bbox_head: {type(head).__name__} predicts {head.encoding}, but {type(coder).__name__} decodes "
            f"{coder.encoding}; take a coder of {head.encoding}, such as DistancePointBBoxCoder"
        )
    corners = torch.zeros(1, 4)
    corners[:, 2:] = 8
    who = name_of("bbox_coder", coder)
    checked(coder.decode(corners, torch.zeros(1, coder.box_dim)), (1, 4), f"decode of {who}", "(..., 4)")
    encoded = coder.encode(corners, corners).shape[-1]
    for slot in ("loss_bbox", "loss_l1"):
        loss = getattr(criterion, slot)
        if isinstance(loss, EncodedBoxLoss) and coder.box_dim != encoded:
            raise ConfigError(
                f"model.{slot}: {type(loss).__name__} compares encoded boxes, but {type(coder).__name__} predicts "
                f"{coder.box_dim} numbers for the {encoded} it encodes; take a loss on decoded boxes, such as GIoULoss"
            )
        if isinstance(loss, EncodedBoxLoss) and loss.encoding not in (None, coder.encoding):
            raise ConfigError(
                f"model.{slot}: {type(loss).__name__} compares {loss.encoding}, but {type(coder).__name__} encodes "
                f"{coder.encoding}; take a coder of {loss.encoding}, or another loss"
            )
    if criterion.loss_dfl is not None and coder.box_dim == encoded:
        raise ConfigError(
            f"model.loss_dfl needs a distribution of each side, which {type(coder).__name__} has not; remove it"
        )


def check_predictions(
    predictions: DensePredictions,
    priors: Tensor,
    num_images: int,
    num_classes: int | None,
    box_dim: int,
    head: BaseDenseHead,
) -> None:
    """Raise PartError if a head does not predict N images at A priors (A, 4), K classes and D numbers for a box."""
    shape, who = (num_images, len(priors)), name_of("bbox_head", head)
    if num_classes is not None:
        checked(predictions.logits, (*shape, num_classes), f"logits of {who}", "(N, A, K)")
    checked(predictions.deltas, (*shape, box_dim), f"deltas of {who}", "(N, A, D)")
    if predictions.initial_deltas is not None:
        checked(predictions.initial_deltas, (*shape, box_dim), f"initial_deltas of {who}", "(N, A, D)")
    if predictions.quality_logits is not None:
        checked(predictions.quality_logits, shape, f"quality_logits of {who}", "(N, A)")


def check_matches(matches: Matches, truth: GroundTruth, num_priors: int, assigner: Assigner) -> None:
    """Raise PartError if matches are no indices, or on the host, where it costs nothing, indices of what is not there.

    Args:
        matches: What the assigner gave.
        truth: Ground truth of the N images.
        num_priors: A.
        assigner: For the message.
    """
    who = name_of("assigner", assigner)
    if not isinstance(matches, Matches):
        raise PartError(f"{who} gave a {type(matches).__name__}; it must be Matches")
    count = (len(matches.prior),)
    limits = {"image": len(truth.counts), "prior": num_priors, "gt_index": len(truth.boxes)}
    limits["ignored"] = len(truth.counts) * num_priors
    if matches.counted is not None:
        checked(matches.counted, count, f"counted of {who}", "(P,)")
    if matches.of_boxes is not None:
        check_matches(matches.of_boxes, truth, num_priors, assigner)
    for name, limit in limits.items():
        index = getattr(matches, name)
        if name == "ignored" and isinstance(index, Tensor) and index.dtype == torch.bool:
            checked(index, (limit,), f"ignored of {who}", "(N * A,)")
            continue
        checked_indices(index, (len(index),) if name == "ignored" else count, f"{name} of {who}", "(P,)")
        if index.device.type == "cpu" and len(index):
            numbers = index.numpy()
            if not (numbers.min() >= 0 and numbers.max() < limit):
                raise PartError(f"{name} of {who} has numbers from {numbers.min()} to {numbers.max()} of {limit}")
