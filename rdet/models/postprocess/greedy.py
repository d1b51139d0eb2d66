"""The loop that greedy suppressions share: take the best box, lower its rivals, repeat."""

from collections.abc import Callable

import torch
from torch import Tensor


def take_best_first(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    rescore: Callable[[Tensor, Tensor, Tensor], Tensor],
    count: int,
) -> tuple[Tensor, Tensor]:
    """Take ``count`` times the box of the highest score; each taken box lowers the scores of its group.

    As scores only fall, the first ``count`` boxes taken are the best ``count`` of all, so the work
    is O(count * n), and one step is a few operations on all n boxes. Nothing waits for the device
    before the end.

    Args:
        boxes: (n, 4).
        scores: (n,), at least 0.
        groups: (n,) int64.
        rescore: ``(taken box (1, 4), boxes (n, 4), scores (n,))`` -> (n,) scores, lower or the same;
            a negative score drops its box.
        count: Boxes to take at most.

    Returns:
        Index (m,) int64 of the boxes taken and their scores (m,), best first.
    """
    if not len(scores):
        return groups.new_zeros(0), scores
    taken = torch.zeros_like(scores, dtype=torch.bool)
    indices, values = [], []
    for _ in range(min(count, len(scores))):
        best = scores.argmax(dim=0, keepdim=True)  # (1,)
        indices.append(best)
        values.append(scores[best])
        taken.index_fill_(0, best, True)
        scores = torch.where(groups == groups[best], rescore(boxes[best], boxes, scores), scores)
        scores = scores.masked_fill(taken, -1.0)
    index, scores = torch.cat(indices), torch.cat(values)
    alive = scores >= 0
    return index[alive], scores[alive]
