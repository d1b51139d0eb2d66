"""Online hard example mining for a dense head."""

import torch
from torch import Tensor

from rdet.models.mining.base import Mining
from rdet.models.mining.suppression import greedy_survivors, overlapping_pairs, survivors_of_ranks
from rdet.registry import MODELS
from rdet.schema import Count, Fraction
from rdet.structures.assignment import IGNORE

# Image sizes whose overlapping priors are kept: about 50 MB each for a million-pixel image and nine anchors a cell.
_SIZES_KEPT = 8


@MODELS.register_module()
class OHEM(Mining):
    """The priors of highest loss, none of which overlaps another of them much.

    As the Focal Loss paper describes it for one stage (section 5.1, after Shrivastava et al., CVPR
    2016): each prior is scored by its classification loss, non-maximum suppression of the priors
    follows, and the ``batch_size`` best that are left are the minibatch of the image. With
    ``neg_pos_ratio`` 3 it is the variant of SSD, "OHEM 1:3": after the suppression, the positives of
    highest loss, at most ``batch_size / 4``, and three times as many negatives.

    The paper leaves open, and this class settles so: the minibatch is one image's; boxes are learnt
    at all positives; an image without a positive that is left gives ``neg_pos_ratio`` negatives. The
    detector divides by the number of chosen priors instead of that of positives.

    Args:
        batch_size: Priors chosen of each image.
        nms_thr: IoU above which the prior with the lower loss is left out.
        neg_pos_ratio: Negatives for each positive; None does not tell them apart.
    """

    def __init__(self, batch_size: Count = 128, nms_thr: Fraction = 0.5, neg_pos_ratio: Count | None = None):
        if batch_size < 1:
            raise ValueError(f"mining.batch_size is {batch_size}; it must be 1 or more")
        if not 0 < nms_thr <= 1:
            raise ValueError(f"mining.nms_thr is {nms_thr}; it must lie in (0, 1]")
        if neg_pos_ratio is not None and not 1 <= neg_pos_ratio < batch_size:
            raise ValueError(f"mining.neg_pos_ratio is {neg_pos_ratio}; it must lie in [1, batch_size)")
        self.batch_size = batch_size
        self.nms_thr = nms_thr
        self.neg_pos_ratio = neg_pos_ratio
        self._pairs_of: dict[int, tuple[Tensor, Tensor]] = {}  # id of priors -> these priors, their pairs

    def __call__(self, losses: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        """Choose priors of one image.

        Args:
            losses: (A,) classification loss of each prior.
            labels: (A,) class, ``BACKGROUND`` or ``IGNORE``; the last are never chosen.
            priors: (A, 4) xyxy.

        Returns:
            (A,) bool.
        """
        order = losses.argsort(descending=True, stable=True)
        if not self._is_host(losses):
            return self._chosen_at_once(order, labels, priors)
        order = order[labels[order] != IGNORE]
        left = greedy_survivors(order, self._pairs(priors), len(priors))
        if self.neg_pos_ratio is None:
            left = left[: self.batch_size]
        else:
            positive = labels[left] >= 0
            positives = left[positive][: self.batch_size // (1 + self.neg_pos_ratio)]
            negatives = left[~positive][: self.neg_pos_ratio * max(len(positives), 1)]
            left = torch.cat([positives, negatives])
        chosen = torch.zeros_like(labels, dtype=torch.bool)
        chosen[left] = True
        return chosen

    @staticmethod
    def _is_host(tensor: Tensor) -> bool:
        """Tell whether reading a value of the tensor makes nobody wait."""
        return tensor.device.type == "cpu"

    def _chosen_at_once(self, order: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        """Choose as :meth:`__call__` does without numbers that depend on others, which a GPU would be waited for."""
        size = len(order)
        sorted_labels = labels[order]
        rank = torch.arange(size, device=order.device).masked_fill(sorted_labels == IGNORE, size)
        rank_of = torch.empty_like(order).index_copy_(0, order, rank)
        left = survivors_of_ranks(rank_of, self._pairs(priors))[order]  # (A,), the highest loss first
        if self.neg_pos_ratio is None:
            taken = left & (left.cumsum(0) <= self.batch_size)
        else:
            positive = left & (sorted_labels >= 0)
            positive &= positive.cumsum(0) <= self.batch_size // (1 + self.neg_pos_ratio)
            negative = left & (sorted_labels < 0)
            taken = positive | (negative & (negative.cumsum(0) <= self.neg_pos_ratio * positive.sum().clamp(min=1)))
        return torch.empty_like(taken).index_copy_(0, order, taken)

    def _pairs(self, priors: Tensor) -> Tensor:
        """Find the pairs (2, E) of overlapping priors. Generators return one tensor for images of the same size."""
        known = self._pairs_of.get(id(priors))
        if known is None or known[0] is not priors:
            if len(self._pairs_of) >= _SIZES_KEPT:
                self._pairs_of.pop(next(iter(self._pairs_of)))
            known = priors, overlapping_pairs(priors, self.nms_thr)
            self._pairs_of[id(priors)] = known
        return known[1]
