"""Sum and division of the losses of a dense detector."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rdet.errors import ConfigError, PartError
from rdet.models.detectors.base_criterion import BaseCriterion, ExtraLosses
from rdet.models.level_weights.base import LevelWeight
from rdet.models.losses.base import ClassificationLoss, PositiveLoss
from rdet.models.losses.normalizers import Normalizer
from rdet.models.mining.base import Mining
from rdet.models.quality.base import Quality
from rdet.structures import DensePredictions
from rdet.structures.all_priors import AllPriors
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.positives import Coder, Positives
from rdet.structures.shapes import checked, name_of


class DenseCriterion(BaseCriterion):
    """The losses of a batch, each summed over its priors and divided once.

    P positives in N images of A priors.

    Args:
        loss_cls: Loss of the classes, (N, A).
        loss_bbox: Loss of the boxes, (P,).
        normalizer: Positives of each image, or the sum of their weights (N,) -> divisors (N,).
        loss_bbox_initial: Loss of the head's first set of boxes, (P,), where it refines them; weighted as
            ``loss_bbox`` is, but by these boxes.
        loss_dfl: A second loss of the boxes, (P,), weighted as ``loss_bbox`` is.
        loss_quality: Loss of the head's quality branch, (P,), which exists only with it.
        loss_obj: Loss of that branch in place of ``loss_quality``, (N, A), where it says of every prior whether it has
            an object: a binary loss of classes, asked of one class; divided as the positives are.
        loss_l1: A further loss of the boxes, (P,), weighted as ``loss_bbox`` is.
        quality: How good each positive is, (P,) in [0, 1]; needed if a part reads it.
        bbox_weight: Weights (P,) of the losses of boxes, which are then divided by their sum; default 1.
        cls_mass: What a positive counts in the divisor of ``loss_cls``, (P,); default 1.
        mining: Chooses the priors whose classification is trained; ``loss_cls`` is divided by their number, if the rule
            counts them. None: all.
        level_weight: How much the losses of each level count, by its positives; not those of a head's own. None: alike.

    Raises:
        ConfigError: A part needs what no other part gives, or two parts would determine the divisor of a loss.
    """

    def __init__(
        self,
        loss_cls: ClassificationLoss,
        loss_bbox: PositiveLoss,
        normalizer: Normalizer,
        loss_bbox_initial: PositiveLoss | None = None,
        loss_dfl: PositiveLoss | None = None,
        loss_quality: PositiveLoss | None = None,
        quality: Quality | None = None,
        bbox_weight: Quality | None = None,
        cls_mass: Quality | None = None,
        mining: Mining | None = None,
        loss_obj: ClassificationLoss | None = None,
        loss_l1: PositiveLoss | None = None,
        level_weight: LevelWeight | None = None,
    ):
        super().__init__()
        self.loss_cls = loss_cls
        self.loss_bbox = loss_bbox
        self.normalizer = normalizer
        self.loss_bbox_initial = loss_bbox_initial
        self.loss_dfl = loss_dfl
        self.loss_quality = loss_quality
        self.quality = quality
        self.bbox_weight = bbox_weight
        self.cls_mass = cls_mass
        self.mining = mining
        self.loss_obj = loss_obj
        self.loss_l1 = loss_l1
        self.level_weight = level_weight
        self._check_quality()
        self._check_divisors()

    def forward(
        self,
        predictions: DensePredictions,
        priors: Tensor,
        matches: Matches,
        truth: GroundTruth,
        coder: Coder,
        extra_losses: ExtraLosses | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch; see :meth:`BaseCriterion.__call__`."""

        def of(matches: Matches) -> tuple[Positives, Tensor, Tensor | None]:
            logits_of, rating = self.loss_cls.binary_logits, self._rating()
            found = Positives(predictions, priors, matches, truth, coder, logits_of, rating)
            amount = _of_images(found.weight, found) if matches.amount is None else matches.amount
            return found, self._divisor(amount), self._levels(found)

        positives, divisor, levels = of(matches)
        all_priors = AllPriors(predictions, priors, matches, truth, positives)
        losses = {"loss_cls": self._classification(all_priors, positives, divisor, levels)}
        of_priors, divisor_of_priors, levels_of_priors = positives, divisor, levels
        if matches.of_boxes is not None:
            positives, divisor, levels = of(matches.of_boxes)
        if self.loss_bbox_initial is not None:
            initial = positives.of_initial_boxes()
            losses |= self._boxes({"loss_bbox_initial": self.loss_bbox_initial}, initial, divisor, levels)
        slots = {"loss_bbox": self.loss_bbox, "loss_dfl": self.loss_dfl, "loss_l1": self.loss_l1}
        losses |= self._boxes(slots, positives, divisor, levels)
        if self.loss_quality is not None:
            loss = _of_positives("loss_quality", self.loss_quality, positives)
            losses["loss_quality"] = _sum_of_positives(loss, positives.weight, divisor, levels, positives)
        if self.loss_obj is not None:
            who = name_of("loss_obj", self.loss_obj)
            loss = checked(self.loss_obj.of(all_priors.of_objects()), tuple(all_priors.labels.shape), who, "(N, A)")
            losses["loss_obj"] = _sum_of_priors(loss, divisor_of_priors, levels_of_priors, all_priors)
        if extra_losses is not None:
            losses |= _checked_extra(extra_losses(predictions, of_priors.without_repeats(), divisor_of_priors), losses)
        return losses

    def _rating(self) -> Callable[[Positives], Tensor] | None:
        quality = self.quality
        return None if quality is None else lambda positives: _of_positives("quality", quality, positives)

    def _levels(self, positives: Positives) -> Tensor | None:
        """Weigh the levels, (L,); None: all alike."""
        if self.level_weight is None:
            return None
        who = name_of("level_weight", self.level_weight)
        return checked(self.level_weight.of(positives), (len(positives.level_lengths),), who, "(L,)")

    def _classification(
        self, all_priors: AllPriors, positives: Positives, divisor: Tensor, levels: Tensor | None
    ) -> Tensor:
        """Sum the loss of the classes; by default divided as the positives are."""
        shape = tuple(all_priors.labels.shape)
        positives.reader = who = name_of("loss_cls", self.loss_cls)
        loss = checked(self.loss_cls.of(all_priors), shape, who, "(N, A)")
        if self.cls_mass is not None:
            mass = _of_positives("cls_mass", self.cls_mass, positives).detach()
            divisor = self._divisor(_of_images(mass * positives.weight, positives), of_mass=True)
        if self.mining is not None:
            who = name_of("mining", self.mining)
            seen = zip(loss.detach(), all_priors.labels, strict=True)
            of_images = (self.mining(x, labels, all_priors.priors) for x, labels in seen)
            chosen = torch.stack([checked(of_image, shape[1:], who, "(A,)") for of_image in of_images])  # (N, A)
            loss = loss.masked_fill(~chosen, 0)
            if self.mining.counts_chosen:
                divisor = self._divisor(chosen.sum(dim=1))
        return _sum_of_priors(loss, divisor, levels, all_priors)

    def _boxes(
        self,
        losses: Mapping[str, PositiveLoss | None],
        positives: Positives,
        divisor: Tensor,
        levels: Tensor | None,
    ) -> dict[str, Tensor]:
        """Sum losses of one set of boxes, weighted; by default divided as the positives are."""
        weight = positives.weight  # (P,)
        if self.bbox_weight is not None:
            weight = _of_positives("bbox_weight", self.bbox_weight, positives).detach() * weight
            divisor = self._divisor(_of_images(weight, positives), of_mass=True)
        return {
            name: _sum_of_positives(_of_positives(name, loss, positives), weight, divisor, levels, positives)
            for name, loss in losses.items()
            if loss is not None
        }

    def _divisor(self, amount: Tensor, of_mass: bool = False) -> Tensor:
        """Turn the positives of each image (N,), or the sum of their weights, into divisors (N,)."""
        divisor = self.normalizer.of_mass(amount) if of_mass else self.normalizer(amount)
        return checked(divisor, (len(amount),), name_of("normalizer", self.normalizer), "(N,)")

    def _check_quality(self) -> None:
        """Raise ConfigError unless the quality is there if, and only if, a part reads it."""
        if self.loss_obj is not None and self.loss_quality is not None:
            raise ConfigError("model.loss_obj and model.loss_quality both train the head's quality branch; remove one")
        if self.loss_obj is not None and type(self.loss_obj).binary_logits is not ClassificationLoss.binary_logits:
            name = type(self.loss_obj).__name__
            raise ConfigError(f"model.loss_obj: {name} is no loss of binary predictions; take CrossEntropyLoss")
        of_boxes = (self.loss_bbox, self.loss_bbox_initial, self.loss_dfl, self.loss_l1)
        parts = (self.loss_cls, *of_boxes, self.loss_quality, self.loss_obj, self.bbox_weight, self.cls_mass)
        needed = any(part.needs_quality for part in parts if part is not None)
        if needed and self.quality is None:
            raise ConfigError("a loss or weight of the model reads the quality: set model.quality")
        if self.quality is not None and not needed:
            raise ConfigError(
                "model.quality is set, but no loss or weight of the model reads it; remove it, or set "
                "`needs_quality = True` on the class of the one that does"
            )
        if self.quality is not None and self.quality.needs_quality:
            raise ConfigError(f"model.quality: {type(self.quality).__name__} reads the quality, which it is itself")

    def _check_divisors(self) -> None:
        """Raise ConfigError if two parts would both say what a loss is divided by."""
        counting = self.mining is not None and self.mining.counts_chosen
        if counting and self.cls_mass is not None:
            raise ConfigError(
                "model.mining and model.cls_mass both say what loss_cls is divided by; remove one of them"
            )
        others = ["mining"] if counting else []
        others += [name for name in ("cls_mass", "bbox_weight") if getattr(self, name) is not None]
        if self.normalizer.keeps_state and others:
            raise ConfigError(
                f"model.normalizer: {type(self.normalizer).__name__} keeps one state, and model.{others[0]} would have "
                "it count two things; take BatchNormalizer or ImageNormalizer"
            )


def _of_positives(slot: str, part: PositiveLoss | Quality, positives: Positives) -> Tensor:
    """Ask a part for its number of each positive, (P,)."""
    positives.reader = who = name_of(slot, part)
    return checked(part.of(positives), tuple(positives.prior.shape), who, "(P,)")


def _of_images(values: Tensor, positives: Positives) -> Tensor:
    """Sum values (P,) of the positives of each image, (N,)."""
    return values.new_zeros(positives.num_images).index_add(0, positives.image, values)


def _sum_of_priors(loss: Tensor, divisor: Tensor, levels: Tensor | None, all_priors: AllPriors) -> Tensor:
    """Sum a loss (N, A), divided by (N,), its levels weighted by (L,)."""
    if levels is not None:
        lengths = all_priors.level_lengths
        loss = loss * torch.cat([factor.expand(length) for factor, length in zip(levels, lengths, strict=True)])
    return (loss.sum(dim=1) / divisor).sum()


def _sum_of_positives(
    loss: Tensor, weight: Tensor, divisor: Tensor, levels: Tensor | None, positives: Positives
) -> Tensor:
    """Sum a loss (P,), weighted by (P,), divided by (N,), its levels weighted by (L,)."""
    if levels is not None:
        loss = loss * levels[positives.level]
    return (loss * weight / divisor[positives.image]).sum()


def _checked_extra(extra: dict[str, Tensor], losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a head's own losses. Raise PartError if one has the name of another, or would not be trained."""
    for name, value in extra.items():
        if name in losses or "loss" not in name:
            raise PartError(
                f"extra_losses of model.bbox_head gave {name!r}; the name must contain 'loss' and not be one of "
                f"{', '.join(losses)}"
            )
        checked(value, (), f"extra_losses of model.bbox_head: {name}", "a scalar")
    return extra
