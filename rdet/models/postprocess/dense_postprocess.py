"""Base of the rules from dense predictions to detections."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from rdet.models.postprocess.largest import LargestOf, largest, largest_above, largest_of_levels
from rdet.schema import Count, Fraction, NotNegative
from rdet.structures import DensePredictions
from rdet.structures.positives import Coder

# Boxes (m, 4), scores (m,) and labels (m,) of an image, best first.
Detections = tuple[Tensor, Tensor, Tensor]


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
        best_class_only: Whether a prior is taken for its best class alone, as in YOLOX, or for each class.
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
        best_class_only: bool = False,
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
        self.best_class_only = best_class_only

    @abstractmethod
    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Make one box of many around the same object.

        Args:
            boxes: (n, 4) xyxy of one image, in any order; n may be 0.
            scores: (n,) in [0, 1].
            labels: (n,) int64.

        Returns:
            Boxes (m, 4), scores (m,), labels (m,), best first. At least the best ``max_per_img``.
        """

    def merge_views(self, boxes: Tensor, scores: Tensor, labels: Tensor, num_views: int) -> Detections:
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
        limits = self.limits(image_sizes, priors.device)
        if not self._is_host(priors):
            # It would be waited for to tell how many candidates there are: so all images at once have as many as
            # there may be.
            return self.finish(self.begin(*self.candidates(predictions, priors, coder, limits)))
        detections = []
        for start in range(len(image_sizes)):  # fastest image by image, with no more candidates than there are
            image = slice(start, start + 1)
            candidates = self._few_candidates(predictions.of_images(image), priors, coder, limits[image])
            detections += self.finish(self.begin(*candidates))
        return detections

    @staticmethod
    def limits(image_sizes: list[tuple[int, int]], device: torch.device) -> Tensor:
        """Make the (N, 4) float32 of :meth:`candidates` of (height, width) of each image."""
        limits = torch.tensor([[width, height] * 2 for height, width in image_sizes], dtype=torch.float32)
        return limits.reshape(-1, 4).to(device, non_blocking=True)

    def begin(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> Any:
        """Do what of :meth:`suppress_images` needs no look at a value; by default, nothing.

        What is returned goes to :meth:`finish`, unchanged, and no shape in it depends on a value.
        """
        return boxes, scores, labels, is_real

    def finish(self, begun: Any) -> list[InstanceData]:
        """Make the detections of each image of what :meth:`begin` returned: ``bboxes``, ``scores``, ``labels``."""
        most = self.max_per_img
        return [
            InstanceData(bboxes=boxes[:most], scores=scores[:most], labels=labels[:most])
            for boxes, scores, labels in self.suppress_begun(begun)
        ]

    def suppress_begun(self, begun: Any) -> list[Detections]:
        """Go on where :meth:`begin` ended."""
        return self.suppress_images(*begun)

    def suppress_images(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> list[Detections]:
        """Apply :meth:`suppress` to each image of a batch.

        Args:
            boxes: (N, C, 4) xyxy.
            scores: (N, C).
            labels: (N, C) int64.
            is_real: (N, C) bool; the others only fill up.
        """
        if self._is_host(boxes):
            chosen = list(is_real)
        else:  # what is real first, so that the numbers are all that is waited for
            first = is_real.byte().sort(dim=1, descending=True, stable=True).indices
            numbers = is_real.sum(dim=1).tolist()
            chosen = [index[:number] for index, number in zip(first, numbers, strict=True)]
        return [
            self.suppress(boxes[image][which], scores[image][which], labels[image][which])
            for image, which in enumerate(chosen)
        ]

    @staticmethod
    def _is_host(tensor: Tensor) -> bool:
        """Tell whether reading a value of the tensor makes nobody wait."""
        return tensor.device.type == "cpu"

    def candidates(
        self, predictions: DensePredictions, priors: Tensor, coder: Coder, limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode the best of each level; no shape depends on a value, so that this can be exported and captured.

        Args:
            predictions, priors, coder: See :meth:`__call__`.
            limits: (N, 4) float32, width, height, width, height of each image before padding.

        Returns:
            Boxes (N, C, 4), scores (N, C), labels (N, C) int64, and which are real, (N, C) bool: the others only fill
            up. C is the sum of ``topk_per_level``, or of what levels have where they have less.
        """
        rank, index, is_real = self._best(predictions)
        found = self.decoded(rank, index, predictions, priors, coder)
        return self.inside(*found, is_real, limits)

    def _few_candidates(
        self, predictions: DensePredictions, priors: Tensor, coder: Coder, limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find what :meth:`candidates` does of one image, but what is real alone, where there is a threshold."""
        best = [self.best_of_level(*level, largest_above) for level in self.levels(predictions)]
        found = [(*self.decoded(rank, index, predictions, priors, coder), real) for rank, index, real in best]
        boxes, scores, labels, is_real = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return self.inside(boxes, scores, labels, is_real, limits)

    def _best(self, predictions: DensePredictions) -> tuple[Tensor, Tensor, Tensor]:
        """Find the best of all levels; see :meth:`best_of_level`."""
        logits, quality, lengths = self.leveled(predictions)
        own = type(self)
        is_usual = (own.best_of_level, own.levels) == (DensePostprocess.best_of_level, DensePostprocess.levels)
        num_ranked = 1 if self.best_class_only else logits.shape[2]
        if is_usual and (of_levels := largest_of_levels(logits, num_ranked, lengths, self.topk_per_level)):
            return self.best_of_level(logits, quality, 0, of_levels)
        best = [self.best_of_level(*level, largest) for level in self.levels(predictions)]
        # An operator of all levels takes a GPU hardly longer than one of a level.
        rank, index, is_real = (torch.cat(parts, dim=1) for parts in zip(*best, strict=True))
        return rank, index, is_real

    def leveled(self, predictions: DensePredictions) -> tuple[Tensor, Tensor | None, list[int]]:
        """Give logits (N, A, K), quality (N, A), and how many priors each part has of which the best are taken."""
        return predictions.logits, predictions.quality_logits, predictions.level_lengths

    def levels(self, predictions: DensePredictions) -> Iterable[tuple[Tensor, Tensor | None, int]]:
        """Give logits (N, A_l, K), quality (N, A_l) and the first prior of each level."""
        logits, quality, lengths = self.leveled(predictions)
        of_levels = [None] * len(lengths) if quality is None else quality.split(lengths, dim=1)
        return zip(logits.split(lengths, dim=1), of_levels, accumulate([0, *lengths]), strict=False)

    def inside(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor, limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Clip boxes (N, C, 4) to their images, and let go those that are too small."""
        if self.clip:
            boxes = boxes.clamp(min=0).minimum(limits[:, None])
        if self.min_box_size is not None:
            is_real = is_real & ((boxes[..., 2:] - boxes[..., :2]) > self.min_box_size).all(dim=-1)
        return boxes, scores, labels, is_real

    def best_of_level(
        self,
        logits: Tensor,
        quality: Tensor | None,
        first: int,
        largest_of: LargestOf,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the best of one level: logits (N, A_l, K), quality (N, A_l) -> three of (N, C).

        Returns:
            What they are ranked by, float32; ``prior * K + class``, where ``first`` is the first prior of the level;
            and whether they are above the threshold.
        """
        num_classes, label = logits.shape[-1], None
        if self.best_class_only:
            logits, label = logits.max(dim=2, keepdim=True)
        values, index, is_real = largest_of(*self.ranked(logits, quality), self.topk_per_level)
        if label is not None:
            index = index * num_classes + label.flatten(1).gather(1, index)
        return values, index + first * num_classes, is_real

    def ranked(self, logits: Tensor, quality: Tensor | None) -> tuple[Tensor, float | None]:
        """Say what predictions (N, A_l, K) are ranked by, and the threshold of it; None: there is none."""
        if quality is None or self.rank_by == "class_score":
            # Ranked and compared as logits, so that only survivors need a sigmoid.
            return logits, math.log(self.score_thr / (1 - self.score_thr)) if self.score_thr > 0 else None
        rank = self._combined(logits.float().sigmoid(), quality.float().sigmoid()[..., None])
        return rank, self.score_thr if self.score_thr > 0 else None

    def decoded(
        self, rank: Tensor, index: Tensor, predictions: DensePredictions, priors: Tensor, coder: Coder
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode what :meth:`best_of_level` found: boxes (N, C, 4), scores and labels, (N, C)."""
        num_classes, quality = predictions.logits.shape[-1], predictions.quality_logits
        prior = index // num_classes
        if quality is None:
            scores = rank.sigmoid()
        elif self.rank_by == "class_score":
            scores = self._combined(rank.sigmoid(), quality.gather(1, prior).float().sigmoid())
        else:
            scores = rank
        image = torch.arange(prior.shape[0], device=prior.device)[:, None]  # `len` is a number in an export, too
        chosen = priors[prior].flatten(0, 1), predictions.deltas[image, prior].float().flatten(0, 1)
        return coder.decode(*chosen).unflatten(0, prior.shape), scores, index % num_classes

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
