"""What losses on K independent binary predictions share."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rdet.models.kernels.usable import usable
from rdet.models.losses.base import HardTargetLoss
from rdet.models.losses.precision import at_least_float32
from rdet.schema import Count, Fraction, NotNegative
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
            of the target. The cross entropy is then least where p is s / 2 from the target. A focal loss
            weighs the opposite more, as it is hard: with s = 0.1 that p is 0.16 from the target with gamma 1,
            and 0.25 with gamma 2. The targets of the background stay 0: it has a thousand times as many
            predictions, and a small loss of each would be nearly all of the sum.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        alpha: Fraction | None,
        loss_weight: NotNegative,
        class_weight: list[NotNegative] | None = None,
        num_classes: Count | None = None,
        label_smoothing: Fraction = 0.0,
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

    def __init_subclass__(cls, **kwargs: Any):
        """Refuse a class whose derivative would be that of another class's loss.

        Raises:
            TypeError: The class changes ``elementwise``, but not the ``with_derivative`` that it inherits.
        """
        super().__init_subclass__(**kwargs)
        if cls.with_derivative is SigmoidLoss.with_derivative:
            return
        for base in cls.__mro__[1:]:
            inherited = getattr(base, "with_derivative", None) is cls.with_derivative
            if inherited and getattr(base, "elementwise", None) is not cls.elementwise:
                raise TypeError(
                    f"{cls.__name__} changes `elementwise` of {base.__name__}, whose `with_derivative` would no longer "
                    "fit: define it too, or write `with_derivative = SigmoidLoss.with_derivative` for autograd's"
                )

    @abstractmethod
    def elementwise(self, x_t: Tensor) -> Tensor:
        """Compute the loss of each signed logit, y * x with y = +-1 (equation 6 of the Focal Loss paper)."""

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute :meth:`elementwise` of x_t = -u, and its derivative with respect to u.

        For the many targets that are 0, u is the logit itself. Here autograd finds the derivative; a
        subclass that has a formula for it needs no graph. The caller may write into both results.
        """
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            loss = self.elementwise(-u)
            (slope,) = torch.autograd.grad(loss.sum(), u)
        return loss.detach(), slope

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if list(self.parameters()):  # torch.compile of 2.7 takes no `next` of a generator
            raise TypeError(
                f"{type(self).__name__} has parameters, but a SigmoidLoss is differentiated by the logits alone; "
                "derive it from HardTargetLoss"
            )
        self._check_class_weight(logits.shape[-1])
        loss: Tensor = _SummedOverClasses.apply(logits, labels, self)
        return loss * (labels != IGNORE) * self.loss_weight

    def smoothed(self, u: Tensor, is_class: Tensor) -> tuple[Tensor, Tensor]:
        """Compute :meth:`with_derivative` of the smoothed targets; ``is_class`` (M, 1) marks the rows to smooth."""
        loss, slope = self.with_derivative(u)
        if self.label_smoothing:
            opposite, opposite_slope = self.with_derivative(-u)
            moved = self.label_smoothing / 2 * is_class
            loss, slope = torch.lerp(loss, opposite, moved), torch.lerp(slope, -opposite_slope, moved)
        return loss, slope

    def with_gradient(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the sum over the classes, and its derivative by each logit, in one pass, piece by piece.

        No target of the logits' size is made: all are taken for 0, and the one of each row that may be 1 is put in its
        place.

        Args:
            rows: (M, K) logits.
            labels: (M,) int64; below 0 all targets are 0.

        Returns:
            (M,), at least float32, and (M, K), in the precision of the logits, but no less than bfloat16's range.
        """
        is_class = (labels >= 0)[:, None]  # (M, 1) like all that are of one logit of each row
        label = labels[:, None].clamp(min=0)  # any class where there is none
        alpha_1, alpha_0 = self.alphas
        label_logit = at_least_float32(rows.gather(1, label))
        smoothed = is_class.to(label_logit.dtype)
        label_loss, label_slope = self.smoothed(torch.where(is_class, -label_logit, label_logit), smoothed)
        label_weight = torch.full_like(label_logit, alpha_0).masked_fill(is_class, alpha_1)
        weight: Tensor | float = alpha_0
        if self.class_weight is not None:
            label_weight = label_weight * self.class_weight[label]
            weight = alpha_0 * self.class_weight
        label_loss = label_loss * label_weight
        label_slope = torch.where(is_class, -label_weight, label_weight).mul_(label_slope)

        summed = torch.empty_like(label_logit[:, 0])  # (M,)
        gradient = torch.empty_like(rows, dtype=precision_of_gradient(rows))
        for piece in _pieces(len(rows)):
            value, slope = self.smoothed(at_least_float32(rows[piece]), smoothed[piece])
            torch.mul(slope, weight, out=gradient[piece])
            if self.class_weight is not None:
                value = value.mul_(self.class_weight)
            value.scatter_(1, label[piece], 0)
            torch.sum(value, dim=1, out=summed[piece])
        gradient.scatter_(1, label, label_slope.to(gradient.dtype))
        return summed.mul_(alpha_0).add_(label_loss[:, 0]), gradient

    @property
    def alphas(self) -> tuple[float, float]:
        """Weights of the targets that are 1 and of those that are 0."""
        return (1.0, 1.0) if self.alpha is None else (self.alpha, 1 - self.alpha)

    def _check_class_weight(self, num_classes: int) -> None:
        if self.class_weight is not None and len(self.class_weight) != num_classes:
            raise ValueError(
                f"model.loss_cls.class_weight has {len(self.class_weight)} numbers, but there are {num_classes} "
                "classes; give one number for each, in the order of the data set's classes"
            )


class _SummedOverClasses(torch.autograd.Function):
    """The sum over the classes of a :class:`SigmoidLoss`; the logits are read once, and their gradient is kept."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, loss: SigmoidLoss) -> Tensor:
        summed, gradient = loss.with_gradient(logits.detach().reshape(-1, logits.shape[-1]), labels.reshape(-1))
        ctx.save_for_backward(gradient)
        ctx.shape, ctx.dtype = logits.shape, logits.dtype
        return summed.reshape(labels.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        scaled = _scaled(gradient, upstream.reshape(-1, 1), ctx.dtype)
        return scaled.reshape(ctx.shape), None, None


def precision_of_gradient(logits: Tensor) -> torch.dtype:
    """Choose that of the logits, but for float16: it has no room for small gradients before the loss scale."""
    return torch.float32 if logits.dtype == torch.float16 else logits.dtype


def _scaled(gradient: Tensor, upstream: Tensor, dtype: torch.dtype) -> Tensor:
    """Multiply the rows of a gradient (M, K) by (M, 1), as ``dtype``.

    The divisor of the loss is in ``upstream``: rounded to half precision, it would be wrong by up to 0.2 %.
    """
    if usable(gradient) and usable(upstream):
        from rdet.models.kernels.focal import scaled

        return scaled(gradient, upstream, dtype)
    if gradient.dtype == upstream.dtype:
        return (gradient * upstream).to(dtype)
    product = torch.empty_like(gradient)
    for piece in _pieces(len(gradient)):
        product[piece] = gradient[piece].to(upstream.dtype) * upstream[piece]
    return product.to(dtype)


def _pieces(length: int) -> list[slice]:
    """Cut ``length`` rows into at most ``_PIECES`` equal parts; into one for a compiler, which makes one pass."""
    if torch.compiler.is_compiling():
        return [slice(None)]
    size = max(1, -(-length // _PIECES))
    return [slice(start, start + size) for start in range(0, length, size)]
