"""What losses on K independent binary predictions share."""

import torch
from torch import Tensor, nn

from rdet.models.losses.precision import at_least_float32
from rdet.structures.assignment import IGNORE


class SigmoidLoss(nn.Module):
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
    """

    def __init__(
        self,
        alpha: float | None,
        loss_weight: float,
        class_weight: list[float] | None = None,
        num_classes: int | None = None,
    ):
        super().__init__()
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; it must be None or lie in [0, 1]")
        if class_weight is not None and min(class_weight, default=0) < 0:
            raise ValueError(f"model.loss_cls.class_weight is {class_weight}; no weight may be negative")
        self.alpha = alpha
        self.loss_weight = loss_weight
        self.register_buffer(
            "class_weight",
            None if class_weight is None else torch.tensor(class_weight, dtype=torch.float32),
            persistent=False,
        )
        if num_classes is not None:
            self._check_class_weight(num_classes)

    def elementwise(self, x_t: Tensor) -> Tensor:
        """The loss of each signed logit, y * x with y = +-1 (equation 6 of the Focal Loss paper)."""
        raise NotImplementedError

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = at_least_float32(logits)
        target = labels[..., None] == torch.arange(logits.shape[-1], device=logits.device)  # (..., K)
        loss = self.elementwise(torch.where(target, logits, -logits))
        if self.alpha is not None:
            loss = loss * torch.where(target, self.alpha, 1 - self.alpha)
        if self.class_weight is not None:
            self._check_class_weight(logits.shape[-1])
            loss = loss * self.class_weight
        return loss.sum(dim=-1) * (labels != IGNORE) * self.loss_weight

    def _check_class_weight(self, num_classes: int) -> None:
        if self.class_weight is not None and len(self.class_weight) != num_classes:
            raise ValueError(
                f"model.loss_cls.class_weight has {len(self.class_weight)} numbers, but there are {num_classes} "
                "classes; give one number for each, in the order of the data set's classes"
            )
