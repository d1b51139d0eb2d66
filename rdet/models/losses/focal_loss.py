"""The Focal Loss and its variant FL*."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.kernels.usable import usable
from rdet.models.losses.precision import softplus
from rdet.models.losses.reduction import reduced
from rdet.models.losses.sigmoid_loss import SigmoidLoss, precision_of_gradient
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative


def focal_loss(x_t: Tensor, gamma: float) -> Tensor:
    """Compute the focal loss without alpha, elementwise (equation 4).

    FL(p_t) = -(1 - p_t)^gamma log(p_t) with p_t = sigmoid(x_t), written in terms of softplus:
    -log(p_t) = softplus(-x_t) and -log(1 - p_t) = softplus(x_t). Value and gradient are finite for
    any finite logit and any gamma >= 0. Its derivative is equation 10.
    Training uses :meth:`FocalLoss.with_derivative`, which a test compares with this.

    Args:
        x_t: y * x, the logit signed by the class y = +-1 (equation 6); any shape.
        gamma: Focusing parameter; 0 gives the cross entropy.
    """
    return torch.exp(-gamma * F.softplus(x_t)) * F.softplus(-x_t)


def focal_loss_star(x_t: Tensor, gamma: float, beta: float) -> Tensor:
    """Compute FL*, elementwise (equations 7 and 8): -log(sigmoid(gamma x_t + beta)) / gamma.

    Args:
        x_t: y * x, as in :func:`focal_loss`.
        gamma: Steepness, above 0.
        beta: Shift.
    """
    return F.softplus(-(gamma * x_t + beta)) / gamma


def sigmoid_focal_loss(
    logits: Tensor,
    targets: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Tensor:
    """Compute the focal loss of binary predictions outside the detector (equation 5); in it, use :class:`FocalLoss`.

    Args:
        logits: Any shape.
        targets: 0 or 1 for each, of the same shape; bool too. Looking whether others are there waits for the device.
        alpha, gamma, label_smoothing: As in :class:`FocalLoss`.
        reduction: ``'none'``, ``'mean'`` or ``'sum'`` over all elements.

    Raises:
        ValueError: A target is neither 0 nor 1.
    """
    if not (targets == targets.bool()).all():
        raise ValueError("sigmoid_focal_loss knows targets of 0 and 1 alone, not those between them")
    targets = targets.bool()
    x_t = torch.where(targets, logits, -logits)
    loss = focal_loss(x_t, gamma)
    if label_smoothing:
        loss = (1 - label_smoothing / 2) * loss + label_smoothing / 2 * focal_loss(-x_t, gamma)
    if alpha is not None:
        loss = loss * torch.where(targets, alpha, 1 - alpha)
    return reduced(loss, reduction)


@MODELS.register_module()
class FocalLoss(SigmoidLoss):
    """Focal Loss, FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t) (Lin et al., ICCV 2017, equation 5).

    Args:
        alpha: Weight of the foreground; see :class:`SigmoidLoss` for it and the shapes.
        gamma: Focusing parameter; 0 gives the alpha-balanced cross entropy.
        loss_weight: Factor of the result.
        class_weight: K factors of the classes' losses; see :class:`SigmoidLoss`.
        num_classes: K (inferred).
        label_smoothing: How far the targets are from 1 and 0; see :class:`SigmoidLoss`.
    """

    def __init__(
        self,
        alpha: Fraction | None = 0.25,
        gamma: NotNegative = 2.0,
        loss_weight: NotNegative = 1.0,
        class_weight: list[NotNegative] | None = None,
        num_classes: Count | None = None,
        label_smoothing: Fraction = 0.0,
    ):
        super().__init__(alpha, loss_weight, class_weight, num_classes, label_smoothing)
        if gamma < 0:
            raise ValueError(f"gamma is {gamma}; it must not be negative")
        self.gamma = gamma

    def elementwise(self, x_t: Tensor) -> Tensor:
        """Compute :func:`focal_loss`; training uses :meth:`with_derivative`, which a test compares with it."""
        return focal_loss(x_t, self.gamma)

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute q^gamma s, q = 1 - p_t, s = -log(p_t), and its derivative q^gamma (gamma p_t s + q) (equation 10)."""
        q, s = torch.sigmoid(u), softplus(u)
        if self.gamma == 0:
            return s, q
        slope = torch.addcmul(s, q, s, value=-1)  # p_t s
        torch.add(q, slope, alpha=self.gamma, out=slope)
        modulating = q.mul_(q) if self.gamma == 2 else q.pow_(self.gamma)
        return s.mul_(modulating), slope.mul_(modulating)

    def with_gradient(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        own = type(self)
        is_known = (own.with_derivative, own.smoothed) == (FocalLoss.with_derivative, SigmoidLoss.smoothed)
        if not is_known or self.label_smoothing or not usable(rows):
            return super().with_gradient(rows, labels)
        from rdet.models.kernels.focal import with_gradient

        gradient = torch.empty_like(rows, dtype=precision_of_gradient(rows), memory_format=torch.contiguous_format)
        return with_gradient(rows, labels, self.gamma, self.alphas, self.class_weight, gradient), gradient


@MODELS.register_module()
class FocalLossStar(SigmoidLoss):
    """FL* (Lin et al., ICCV 2017, appendix A).

    Args:
        gamma: Steepness of the curve.
        beta: Its shift.
        alpha: Weight of the foreground; see :class:`SigmoidLoss` for it and the shapes.
        loss_weight: Factor of the result.
        class_weight: K factors of the classes' losses; see :class:`SigmoidLoss`.
        num_classes: K (inferred).
    """

    def __init__(
        self,
        gamma: NotNegative = 2.0,
        beta: float = 1.0,
        alpha: Fraction | None = 0.25,
        loss_weight: NotNegative = 1.0,
        class_weight: list[NotNegative] | None = None,
        num_classes: Count | None = None,
    ):
        super().__init__(alpha, loss_weight, class_weight, num_classes)
        if gamma <= 0:
            raise ValueError(f"gamma is {gamma}; it must be positive")
        self.gamma = gamma
        self.beta = beta

    def elementwise(self, x_t: Tensor) -> Tensor:
        return focal_loss_star(x_t, self.gamma, self.beta)

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute -log(sigmoid(z)) / gamma with z = gamma x_t + beta, and its derivative sigmoid(-z) (equation 11)."""
        minus_z = self.gamma * u - self.beta
        return softplus(minus_z).div_(self.gamma), torch.sigmoid(minus_z)
