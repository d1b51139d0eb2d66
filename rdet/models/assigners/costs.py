"""What rules share by which a box takes as many priors as predict it well."""

from torch import Tensor


def dynamic_count(iou: Tensor, topk: int) -> Tensor:
    """Count the priors of each box: the sum of its ``topk`` largest IoUs, cut to a whole number, at least 1.

    Args:
        iou: (B, A) of boxes and predictions, 0 where a prior is no candidate.
        topk: How many, at most A of course.

    Returns:
        (B,) int64.
    """
    return iou.topk(min(topk, iou.shape[1]), dim=1).values.sum(dim=1).long().clamp(min=1)


def negative_log(probability: Tensor) -> Tensor:
    """Compute -log p, at most 100, as torch's ``binary_cross_entropy`` does."""
    return -probability.log().clamp(min=-100)
