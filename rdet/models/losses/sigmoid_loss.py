"""What losses on K independent binary predictions share."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rdet.models.losses.base import HardTargetLoss
from rdet.models.losses.precision import at_least_float32
from rdet.structures.assignment import IGNORE

# Into how many pieces the logits are cut: the memory of a piece's steps is what the loss needs beside its gradient,
# and each piece costs some 10 operator calls.
_PIECES = 6


class SigmoidLoss(HardTargetLoss):
    """Base of losses on K independent binary predictions, weighted by alpha_t.

    Shapes: logits (..., K), labels (...,) int64 -> (...,) float32, summed over the K classes.
    A label is a class index, ``BACKGROUND`` (all K targets are 0) or ``IGNORE`` (the loss is 0).

    Args:
        alpha: Weight of the one target that is 1; the others weigh 1 - alpha (equation 3 of the
            Focal Loss paper). None weighs all of them 1.
        loss_weight: Factor of the result.
        class_weight: K factors, one for each class's binary loss, whether its target is 1 or 0;
            in the order of the data set's classes. None weighs all of them 1.
        num_classes: K, with which ``class_weight`` is compared (inferred).
        label_smoothing: s; where the label is a class, 1 - s / 2 of the loss of each target and s / 2 of
            that of its opposite (Szegedy et al., CVPR 2016, section 7, with two outcomes); alpha is that
            of the target. With the cross entropy this is least where p is s / 2 from the target. A
            focal loss weighs the opposite, which is hard, more: with s = 0.1 that p is 0.16 from the
            target with gamma 1, and 0.25 with gamma 2. The background's targets stay 0: of a thousand times as
            many predictions, a little each would be nearly all of the loss.
    """

    def __init__(
        self,
        alpha: float | None,
        loss_weight: float,
        class_weight: list[float] | None = None,
        num_classes: int | None = None,
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; it must be None or lie in [0, 1]")
        if class_weight is not None and min(class_weight, default=0) < 0:
            raise ValueError(f"model.loss_cls.class_weight is {class_weight}; no weight may be negative")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must lie in [0, 1)")
        self.alpha = alpha
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight
        self.register_buffer(
            "class_weight",
            None if class_weight is None else torch.tensor(class_weight, dtype=torch.float32),
            persistent=False,
        )
        if num_classes is not None:
            self._check_class_weight(num_classes)

    @abstractmethod
    def elementwise(self, x_t: Tensor) -> Tensor:
        """Compute the loss of each signed logit, y * x with y = +-1 (equation 6 of the Focal Loss paper)."""

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`elementwise` of x_t = -u, and its derivative with respect to u.

        For the many targets that are 0, u is the logit itself. This asks autograd; a subclass that
        knows the derivative spares the graph. The detector's loss writes into what is returned.
        """
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            loss = self.elementwise(-u)
            (slope,) = torch.autograd.grad(loss.sum(), u)
        return loss.detach(), slope

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if next(self.parameters(), None) is not None:
            raise TypeError(
                f"{type(self).__name__} has parameters, but a SigmoidLoss is differentiated by the logits alone; "
                "derive it from nn.Module"
            )
        self._check_class_weight(logits.shape[-1])
        loss = _SigmoidLoss.apply(logits, labels, self)
        return loss * (labels != IGNORE) * self.loss_weight

    def _both(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`with_derivative`; that of autograd where a subclass has changed :meth:`elementwise` alone."""
        if issubclass(_definer(self, "with_derivative"), _definer(self, "elementwise")):
            return self.with_derivative(u)
        return SigmoidLoss.with_derivative(self, u)

    def _smoothed(self, u: Tensor, is_class: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`_both` of the smoothed targets; ``is_class`` (M, 1) says which rows are smoothed."""
        loss, slope = self._both(u)
        if self.label_smoothing:
            opposite, opposite_slope = self._both(-u)
            moved = self.label_smoothing / 2 * is_class
            loss, slope = torch.lerp(loss, opposite, moved), torch.lerp(slope, -opposite_slope, moved)
        return loss, slope

    def _check_class_weight(self, num_classes: int) -> None:
        if self.class_weight is not None and len(self.class_weight) != num_classes:
            raise ValueError(
                f"model.loss_cls.class_weight has {len(self.class_weight)} numbers, but there are {num_classes} "
                "classes; give one number for each, in the order of the data set's classes"
            )


class _SigmoidLoss(torch.autograd.Function):
    """The sum over the classes of a :class:`SigmoidLoss`, which reads the logits once and keeps their gradient alone.

    Loss and derivative come from the same pass, piece by piece. No target of the logits' size is made:
    all are taken for 0, and the one of each row that may be 1 is put in its place.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, labels: Tensor, kind: SigmoidLoss) -> Tensor:
        rows = logits.detach().reshape(-1, logits.shape[-1])  # (M, K)
        is_class = (labels >= 0).reshape(-1, 1)  # (M, 1) like all that are of one logit of each row
        at = labels.reshape(-1, 1).clamp(min=0)  # any class where there is none
        alpha_1, alpha_0 = (1.0, 1.0) if kind.alpha is None else (kind.alpha, 1 - kind.alpha)
        own = at_least_float32(rows.gather(1, at))
        smoothed = is_class.to(own.dtype)
        own_loss, own_slope = kind._smoothed(torch.where(is_class, -own, own), smoothed)
        own_weight = torch.full_like(own, alpha_0).masked_fill(is_class, alpha_1)
        weight = alpha_0
        if kind.class_weight is not None:
            own_weight = own_weight * kind.class_weight[at]
            weight = alpha_0 * kind.class_weight
        own_loss = own_loss * own_weight
        own_slope = torch.where(is_class, -own_weight, own_weight).mul_(own_slope)

        loss = torch.empty_like(own[:, 0])  # (M,)
        # float16 has no room for small gradients before the loss scale has multiplied them
        kept = own.dtype if rows.dtype == torch.float16 else rows.dtype
        gradient = torch.empty_like(rows, dtype=kept)
        for piece in _pieces(len(rows)):
            value, slope = kind._smoothed(at_least_float32(rows[piece]), smoothed[piece])
            torch.mul(slope, weight, out=gradient[piece])
            if kind.class_weight is not None:
                value = value.mul_(kind.class_weight)
            value.scatter_(1, at[piece], 0)
            torch.sum(value, dim=1, out=loss[piece])
        gradient.scatter_(1, at, own_slope.to(kept))
        ctx.save_for_backward(gradient)
        ctx.shape, ctx.dtype = logits.shape, logits.dtype
        return loss.mul_(alpha_0).add_(own_loss[:, 0]).reshape(labels.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream: Tensor):
        (gradient,) = ctx.saved_tensors
        gradient = gradient * upstream.reshape(-1, 1).to(gradient.dtype)
        return gradient.to(ctx.dtype).reshape(ctx.shape), None, None


def _definer(loss: SigmoidLoss, method: str) -> type:
    """The class that a loss has a method from."""
    return next(cls for cls in type(loss).__mro__ if method in vars(cls))


def _pieces(length: int) -> list[slice]:
    """Equal parts of ``length`` rows, at most ``_PIECES``; one where a compiler makes all steps in one pass."""
    if torch.compiler.is_compiling():
        return [slice(None)]
    size = max(1, -(-length // _PIECES))
    return [slice(start, start + size) for start in range(0, length, size)]
