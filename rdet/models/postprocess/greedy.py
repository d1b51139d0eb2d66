"""The loop that greedy suppressions share: take the best box, lower its rivals, repeat."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rdet.models.postprocess.dense_postprocess import DensePostprocess, Detections


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
    index, scores = _taken(boxes, scores, groups, rescore, count)
    alive = scores >= 0
    return index[alive], scores[alive]


def _taken(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    rescore: Callable[[Tensor, Tensor, Tensor], Tensor],
    count: int,
) -> tuple[Tensor, Tensor]:
    """Take boxes as :func:`take_best_first` does, those that are dropped too: they come last, with scores below 0."""
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
    return torch.cat(indices), torch.cat(values)


class GreedyPostprocess(DensePostprocess):
    """Base of rules by which the best box lowers its rivals. A GPU gets all images at once, and is asked once."""

    min_score = 0.0

    @abstractmethod
    def rescore(self, box: Tensor, boxes: Tensor, scores: Tensor) -> Tensor:
        """Lower the scores of the rivals of a box that was taken: (1, 4), (n, 4), (n,) -> (n,); below 0 drops one."""

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Keep the best ``max_per_img`` boxes with their scores, best first.

        Shapes: (n, 4), (n,), (n,) -> (m, 4), (m,), (m,).
        """
        index, scores = take_best_first(boxes, scores, self._groups(labels), self.rescore, self.max_per_img)
        enough = scores >= self.min_score
        index = index[enough]
        return boxes[index], scores[enough], labels[index]

    def suppress_images(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> list[Detections]:
        if self._is_host(boxes) or type(self).suppress is not GreedyPostprocess.suppress:  # a class with its own rule
            return super().suppress_images(boxes, scores, labels, is_real)
        take = partial(_taken, rescore=self.rescore, count=self.max_per_img)
        index, values = torch.vmap(take)(boxes, scores.masked_fill(~is_real, -1.0), self._groups(labels))
        image = torch.arange(len(boxes), device=boxes.device)[:, None]
        kept = boxes[image, index], values, labels[image, index]  # each (N, max_per_img, ...)
        numbers = (values >= max(self.min_score, 0.0)).sum(dim=1).tolist()  # the only wait; scores only fall
        return [(kept[0][i, :n], kept[1][i, :n], kept[2][i, :n]) for i, n in enumerate(numbers)]
