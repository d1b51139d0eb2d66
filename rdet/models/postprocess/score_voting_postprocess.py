"""Suppression whose survivors are means of the boxes around them."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.postprocess.dense_postprocess import Detections
from rdet.models.postprocess.largest import LargestOf, largest, largest_above
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.registry import MODELS
from rdet.schema import Fraction, Positive


@MODELS.register_module()
class ScoreVotingPostprocess(NMSPostprocess):
    """NMS after which each box is the mean of the candidates around it (PAA, Kim and Lee, ECCV 2020, section 3.4).

    A candidate of the same class weighs its score times exp(-(1 - IoU)^2 / ``sigma``). All classes of the
    ``topk_per_level`` best priors of a level are candidates, not the best pairs of prior and class.

    Args:
        sigma: How fast weights fall with the overlap.
        min_iou: Candidates that overlap the box no more than this do not vote.
        **options: Of :class:`NMSPostprocess`.
    """

    def __init__(self, sigma: Positive = 0.025, min_iou: Fraction = 0.01, **options: Any):
        super().__init__(**options)
        if sigma <= 0:
            raise ValueError(f"postprocess.sigma is {sigma}; it must be positive")
        self.sigma = sigma
        self.min_iou = min_iou

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Keep the best ``max_per_img`` that no better one drops: (n, 4), (n,), (n,) -> (m, 4), (m,), (m,)."""
        kept, kept_scores, kept_labels = (x[: self.max_per_img] for x in super().suppress(boxes, scores, labels))
        if not len(kept):
            return kept, kept_scores, kept_labels
        iou = box_iou(kept, boxes)  # (m, n)
        votes = (iou > self.min_iou) & (self._groups(kept_labels)[:, None] == self._groups(labels))
        weight = torch.exp(-((1 - iou) ** 2) / self.sigma) * scores * votes
        total = weight.sum(dim=1, keepdim=True)
        voted = torch.where(total > 0, (weight @ boxes) / total.clamp(min=torch.finfo(total.dtype).tiny), kept)
        # A mean lies between its boxes, which rounding must not change: they may end at the image's border.
        return voted.clamp(boxes.amin(dim=0), boxes.amax(dim=0)), kept_scores, kept_labels

    def best_of_level(
        self,
        logits: Tensor,
        quality: Tensor | None,
        first: int,
        largest_of: LargestOf,
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_classes = logits.shape[-1]
        rank, threshold = self.ranked(logits, quality)  # (N, A_l, K)
        _, prior, is_real = largest(rank.amax(dim=2, keepdim=True), None, self.topk_per_level)  # (N, C)
        rank = rank.gather(1, prior[..., None].expand(-1, -1, num_classes)).float()
        index = (prior[..., None] + first) * num_classes + torch.arange(num_classes, device=logits.device)
        is_real = is_real[..., None].expand_as(rank) if threshold is None else is_real[..., None] & (rank > threshold)
        if largest_of is largest_above:  # of one image, on the host
            return rank[is_real][None], index[is_real][None], is_real[is_real][None]
        return rank.flatten(1), index.flatten(1), is_real.flatten(1)
