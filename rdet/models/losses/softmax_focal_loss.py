"""The focal loss of one choice among several classes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import HardTargetLoss
from rdet.models.losses.precision import NEARLY_0, at_least_float32, log_odds
from rdet.models.losses.reduction import reduced
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative
from rdet.structures.assignment import IGNORE


def softmax_focal_loss(
    logits: Tensor,
    labels: Tensor,
    alpha: Tensor | Sequence[float] | None = None,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Tensor:
    """Compute the focal loss of p = softmax(logits): -q_c alpha_c (1 - p_c)^gamma log(p_c), summed over the classes c.

    q is 1 at the label and 0 elsewhere, or (1 - s) + s / C and s / C with ``label_smoothing`` s. Value
    and gradient are finite for any finite logit.

    Args:
        logits: (..., C).
        labels: (...,) int64 in [0, C).
        alpha: C weights of the classes; None: 1 each.
        gamma: Focusing parameter; 0 gives the weighted cross entropy.
        label_smoothing: s, in [0, 1).
        reduction: ``'none'`` -> (...,), or the ``'mean'`` or ``'sum'`` of these.
    """
    log_p = logits.log_softmax(dim=-1)  # (..., C)
    loss = _focal(log_p.gather(-1, labels[..., None]).squeeze(-1), gamma)
    if alpha is not None:
        alpha = torch.as_tensor(alpha, dtype=log_p.dtype, device=log_p.device)  # (C,)
        loss = loss * alpha[labels]
    if label_smoothing:
        of_all = _focal(log_p, gamma)
        if alpha is not None:
            of_all = of_all * alpha
        loss = (1 - label_smoothing) * loss + label_smoothing * of_all.mean(dim=-1)
    return reduced(loss, reduction)


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    """Compute -(1 - p)^gamma log(p), elementwise."""
    log_p = log_p.clamp(max=NEARLY_0)
    return torch.exp(gamma * torch.log(-torch.expm1(log_p))) * -log_p


@MODELS.register_module()
class SoftmaxFocalLoss(HardTargetLoss):
    """Focal loss over K classes and the background as one choice, each with its own alpha.

    The logit of the background is 0: of K + 1 logits under a softmax one is free, so any head fits.
    Its bias, made for K binary predictions, starts each class at pi / (1 + (K - 1) pi). The detector
    asks :meth:`binary_logits` for the scores.

    Shapes: logits (..., K), labels (...,) int64 -> (...,) float32. A label is a class index,
    ``BACKGROUND`` or ``IGNORE`` (the loss is 0).

    Args:
        alpha: Weight of every class, the background's being 1 - alpha; or K + 1 weights, that of the
            background last. None weighs all of them 1.
        gamma: Focusing parameter; 0 gives the weighted cross entropy.
        label_smoothing: s; where the label is a class, the target is 1 - s + s / (K + 1) at it and
            s / (K + 1) elsewhere. The background is not smoothed, see :class:`SigmoidLoss`.
        loss_weight: Factor of the result.
        num_classes: K (inferred).
    """

    alpha: Tensor | None

    def __init__(
        self,
        alpha: Fraction | list[NotNegative] | None = 0.25,
        gamma: NotNegative = 2.0,
        label_smoothing: Fraction = 0.0,
        loss_weight: NotNegative = 1.0,
        num_classes: Count | None = None,
    ):
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma is {gamma}; it must not be negative")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must lie in [0, 1)")
        weights = [alpha, 1 - alpha] if isinstance(alpha, int | float) else alpha
        if weights is not None and min(weights, default=-1) < 0:
            raise ValueError(f"model.loss_cls.alpha is {alpha}; it needs weights, none of them negative")
        if num_classes is not None and isinstance(alpha, list | tuple) and len(alpha) != num_classes + 1:
            raise ValueError(
                f"model.loss_cls.alpha has {len(alpha)} numbers, but there are {num_classes} classes; give one for "
                "each, in the order of the data set's classes, and one for the background"
            )
        self.register_buffer("alpha", None if weights is None else torch.tensor(weights), persistent=False)
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = _with_background(logits)  # (..., K + 1)
        background = logits.shape[-1] - 1
        alpha = self.alpha
        if alpha is not None:
            alpha = torch.cat([alpha[:-1].expand(background), alpha[-1:]]).to(logits)  # (K + 1,)
        choice = torch.where(labels >= 0, labels, background)
        loss = softmax_focal_loss(logits, choice, alpha, self.gamma)
        if self.label_smoothing:
            smoothed = softmax_focal_loss(logits, choice, alpha, self.gamma, self.label_smoothing)
            loss = torch.where(labels >= 0, smoothed, loss)
        return loss * (labels != IGNORE) * self.loss_weight

    def binary_logits(self, logits: Tensor) -> Tensor:
        """Turn logits (..., K) into logits (..., K) whose sigmoid is the softmax with the background."""
        return log_odds(_with_background(logits).log_softmax(dim=-1)[..., :-1])


def _with_background(logits: Tensor) -> Tensor:
    """Append the logit of the background, 0: (..., K) -> (..., K + 1)."""
    return F.pad(at_least_float32(logits), (0, 1))
