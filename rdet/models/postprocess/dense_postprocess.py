"""Base of the rules from dense predictions to detections."""

import math
from abc import ABC, abstractmethod

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from rdet.schema import Count, Fraction, NotNegative
from rdet.structures import DensePredictions
from rdet.structures.positives import Coder


class DensePostprocess(ABC):
    """Base of rules from predictions to detections: candidates, then :meth:`suppress`, then the best ``max_per_img``.

    On each level the best ``topk_per_level`` predictions above ``score_thr`` are decoded and
    clipped to the image (Focal Loss paper, section 4, "Inference"). Where the head predicts a
    quality, the score of a class is made of its probability and the quality. The threshold and the
    ranking apply to this score, as in torchvision, or to the probability alone, as in the published
    code of FCOS and ATSS and in MMDetection; there the same threshold lets more candidates through.

    Args:
        score_thr: Smallest score; 0 keeps all.
        topk_per_level: Predictions of one level that are decoded.
        max_per_img: Detections kept.
        class_agnostic: Whether boxes of different classes compete too.
        quality_score: How class and quality make a score: their ``'geometric_mean'``, as in the published code of FCOS
            and ATSS and in torchvision, or their ``'product'``, as in MMDetection.
        rank_by: What is compared with the threshold and ranked: the ``'score'``, or the ``'class_score'``.
        clip: Whether boxes are clipped to the image.
        min_box_size: Boxes whose width or height is not above it, in pixels of the network's input, are dropped;
            MMDetection has 0. None keeps all.

    Raises:
        ValueError: A value has no meaning.
    """

    def __init__(
        self,
        score_thr: Fraction = 0.05,
        topk_per_level: Count = 1000,
        max_per_img: Count = 100,
        class_agnostic: bool = False,
        quality_score: str = "geometric_mean",
        rank_by: str = "score",
        clip: bool = True,
        min_box_size: NotNegative | None = None,
    ):
        if not 0 <= score_thr < 1:
            raise ValueError(f"postprocess.score_thr is {score_thr}; it must lie in [0, 1)")
        for name, number in {"topk_per_level": topk_per_level, "max_per_img": max_per_img}.items():
            if number < 1:
                raise ValueError(f"postprocess.{name} is {number}; it must be 1 or more")
        if quality_score not in ("geometric_mean", "product"):
            raise ValueError(f"postprocess.quality_score is {quality_score!r}; valid: 'geometric_mean', 'product'")
        if rank_by not in ("score", "class_score"):
            raise ValueError(f"postprocess.rank_by is {rank_by!r}; valid: 'score', 'class_score'")
        self.score_thr = score_thr
        self.topk_per_level = topk_per_level
        self.max_per_img = max_per_img
        self.class_agnostic = class_agnostic
        self.quality_score = quality_score
        self.rank_by = rank_by
        self.clip = clip
        self.min_box_size = min_box_size

    @abstractmethod
    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make one box of many around the same object.

        Args:
            boxes: (n, 4) xyxy of one image, in any order; n may be 0.
            scores: (n,) in [0, 1].
            labels: (n,) int64.

        Returns:
            Boxes (m, 4), scores (m,), labels (m,), best first. At least the best ``max_per_img``.
        """

    def merge_views(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, num_views: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Make one box of many that several views of an image found; by default as :meth:`suppress` does of one.

        Args:
            boxes, scores, labels: Of all views, see :meth:`suppress`.
            num_views: How many views there are.
        """
        return self.suppress(boxes, scores, labels)

    @torch.no_grad()
    def __call__(
        self, predictions: DensePredictions, priors: Tensor, coder: Coder, image_sizes: list[tuple[int, int]]
    ) -> list[InstanceData]:
        """Find the detections of each image, best first, clipped to it.

        Args:
            predictions: Of N images.
            priors: (A, 4) xyxy.
            coder: Decodes (n, 4) priors and (n, D) deltas.
            image_sizes: (height, width) of each image before padding.

        Returns:
            For each image ``bboxes`` (n, 4), ``scores`` (n,), ``labels`` (n,).
        """
        lengths = predictions.level_lengths
        qualities = [None] * len(image_sizes) if predictions.quality_logits is None else predictions.quality_logits
        detections = []
        for logits, deltas, quality, size in zip(
            predictions.logits, predictions.deltas, qualities, image_sizes, strict=True
        ):
            levels = zip(
                logits.float().split(lengths),
                [None] * len(lengths) if quality is None else quality.float().split(lengths),
                deltas.float().split(lengths),
                priors.split(lengths),
                strict=True,
            )
            kept = [self._candidates(*level, coder) for level in levels]
            boxes, scores, labels = (torch.cat(parts) for parts in zip(*kept, strict=True))
            if self.clip:
                boxes = clip_boxes_to_image(boxes, size)
            if self.min_box_size is not None:
                large = ((boxes[:, 2:] - boxes[:, :2]) > self.min_box_size).all(dim=1)
                boxes, scores, labels = boxes[large], scores[large], labels[large]
            boxes, scores, labels = self.suppress(boxes, scores, labels)
            found = InstanceData(bboxes=boxes, scores=scores, labels=labels)
            detections.append(found[: self.max_per_img])
        return detections

    def _candidates(
        self, logits: Tensor, quality: Tensor | None, deltas: Tensor, priors: Tensor, coder: Coder
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode the best of one level: logits (A_l, K), quality (A_l,) -> boxes (n, 4), scores (n,), labels (n,)."""
        num_classes = logits.shape[-1]
        if quality is None or self.rank_by == "class_score":
            # Ranked and compared as logits, so that only survivors need a sigmoid.
            rank = logits.flatten()
            threshold = math.log(self.score_thr / (1 - self.score_thr)) if self.score_thr > 0 else None
        else:
            rank = self._combined(logits.sigmoid(), quality.sigmoid()[:, None]).flatten()
            threshold = self.score_thr if self.score_thr > 0 else None
        if threshold is not None:
            index = (rank > threshold).nonzero().squeeze(1)
            rank = rank[index]
        else:
            index = torch.arange(len(rank), device=rank.device)
        scores, order = rank.topk(min(self.topk_per_level, len(rank)))
        index = index[order]
        prior = index // num_classes
        if quality is None:
            scores = scores.sigmoid()
        elif self.rank_by == "class_score":
            scores = self._combined(scores.sigmoid(), quality[prior].sigmoid())
        return coder.decode(priors[prior], deltas[prior]), scores, index % num_classes

    def _combined(self, class_scores: Tensor, quality: Tensor) -> Tensor:
        product = class_scores * quality
        return product if self.quality_score == "product" else product.sqrt()

    def _groups(self, labels: Tensor) -> Tensor:
        """Give boxes that compete the same number: (n,) int64."""
        return torch.zeros_like(labels) if self.class_agnostic else labels


def checked_iou_threshold(iou_threshold: float) -> float:
    """Return the threshold.

    Raises:
        ValueError: It does not lie in [0, 1].
    """
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"postprocess.iou_threshold is {iou_threshold}; it must lie in [0, 1]")
    return iou_threshold
