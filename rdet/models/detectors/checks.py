"""Whether the parts of a detector go together."""

import torch

from rdet.errors import ConfigError
from rdet.models.assigners.base import Assigner
from rdet.models.coders.base import BBoxCoder
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.losses.base import ClassificationLoss, EncodedBoxLoss, PositiveLoss
from rdet.models.losses.normalizers import Normalizer
from rdet.models.mining.base import Mining
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.models.quality.base import Quality

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
    "normalizer": Normalizer,
    "quality": Quality,
    "bbox_weight": Quality,
    "cls_mass": Quality,
    "mining": Mining,
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


def check_boxes(head: BaseDenseHead, coder: BBoxCoder, criterion: DenseCriterion) -> None:
    """Raise ConfigError if head, coder and losses of boxes do not speak of the same numbers."""
    if head.encoding not in (None, coder.encoding):
        raise ConfigError(
            f"model.bbox_head: {type(head).__name__} predicts {head.encoding}, but {type(coder).__name__} decodes "
            f"{coder.encoding}; take a coder of {head.encoding}, such as DistancePointBBoxCoder"
        )
    corners = torch.zeros(1, 4)
    corners[:, 2:] = 8
    encoded = coder.encode(corners, corners).shape[-1]
    loss_bbox = criterion.loss_bbox
    if isinstance(loss_bbox, EncodedBoxLoss) and coder.box_dim != encoded:
        raise ConfigError(
            f"model.loss_bbox: {type(loss_bbox).__name__} compares encoded boxes, but {type(coder).__name__} predicts "
            f"{coder.box_dim} numbers for the {encoded} it encodes; take a loss on decoded boxes, such as GIoULoss"
        )
    if criterion.loss_dfl is not None and coder.box_dim == encoded:
        raise ConfigError(
            f"model.loss_dfl needs a distribution of each side, which {type(coder).__name__} has not; remove it"
        )
