"""All priors of a batch, as a classification loss sees them."""

from functools import cached_property

from torch import Tensor

from rdet.structures.positives import Positives


class AllPriors:
    """Every prior of N images: positives, background and those that take no part.

    Attributes:
        logits: (N, A, K) class logits.
        labels: (N, A) int64, a class, ``BACKGROUND`` or ``IGNORE``.
        priors: (A, 4) xyxy, the same for all images.
    """

    def __init__(self, logits: Tensor, labels: Tensor, priors: Tensor, positives: Positives):
        self.logits = logits
        self.labels = labels
        self.priors = priors
        self._positives = positives

    @cached_property
    def quality(self) -> Tensor:
        """(N, A) float32 in [0, 1], how good each positive is; 0 elsewhere."""
        quality = self._positives.quality
        index = (self._positives.image, self._positives.prior)
        return quality.new_zeros(self.labels.shape).index_put(index, quality)
