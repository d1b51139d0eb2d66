"""From dense predictions to detections by thresholding and non-maximum suppression."""

import math

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from rdet.registry import MODELS
from rdet.structures import DensePredictions


@MODELS.register_module()
class NMSPostprocess:
    """Inference of RetinaNet (Focal Loss paper, section 4, "Inference").

    On each level at most ``topk_per_level`` predictions above ``score_thr`` are decoded; those of
    all levels go through non-maximum suppression, class by class; the best ``max_per_img`` stay.

    Args:
        score_thr: Smallest score.
        topk_per_level: Predictions of one level that are decoded.
        iou_threshold: Overlap above which the weaker of two boxes of a class is dropped.
        max_per_img: Detections kept.
    """

    def __init__(
        self,
        score_thr: float = 0.05,
        topk_per_level: int = 1000,
        iou_threshold: float = 0.5,
        max_per_img: int = 100,
    ):
        if not 0 <= score_thr < 1:
            raise ValueError(f"score_thr is {score_thr}; it must lie in [0, 1)")
        self.score_thr = score_thr
        self.topk_per_level = topk_per_level
        self.iou_threshold = iou_threshold
        self.max_per_img = max_per_img

    @torch.no_grad()
    def __call__(
        self, predictions: DensePredictions, priors: Tensor, coder, image_sizes: list[tuple[int, int]]
    ) -> list[InstanceData]:
        """Detections of each image, best first, clipped to it.

        Args:
            predictions: Of N images.
            priors: (A, 4) xyxy.
            coder: Decodes (n, 4) priors and (n, D) deltas.
            image_sizes: (height, width) of each image before padding.

        Returns:
            For each image ``bboxes`` (n, 4), ``scores`` (n,), ``labels`` (n,).
        """
        cells = [height * width for height, width in predictions.level_sizes]
        priors_of_cell = len(priors) // sum(cells)
        level_lengths = [count * priors_of_cell for count in cells]
        detections = []
        for logits, deltas, size in zip(predictions.logits, predictions.deltas, image_sizes, strict=True):
            kept = [
                self._candidates(*level, coder)
                for level in zip(
                    logits.float().split(level_lengths),
                    deltas.float().split(level_lengths),
                    priors.split(level_lengths),
                    strict=True,
                )
            ]
            boxes, scores, labels = (torch.cat(parts) for parts in zip(*kept, strict=True))
            boxes = clip_boxes_to_image(boxes, size)
            keep = batched_nms(boxes, scores, labels, self.iou_threshold)[: self.max_per_img]
            detections.append(InstanceData(bboxes=boxes[keep], scores=scores[keep], labels=labels[keep]))
        return detections

    def _candidates(self, logits: Tensor, deltas: Tensor, priors: Tensor, coder) -> tuple[Tensor, Tensor, Tensor]:
        """One level of one image, (A_l, K) logits -> boxes (n, 4), scores (n,), labels (n,)."""
        num_classes = logits.shape[-1]
        logits = logits.flatten()
        if self.score_thr > 0:  # compared as logits, so that only survivors need a sigmoid
            index = (logits > math.log(self.score_thr / (1 - self.score_thr))).nonzero().squeeze(1)
            logits = logits[index]
        else:
            index = torch.arange(len(logits), device=logits.device)
        logits, order = logits.topk(min(self.topk_per_level, len(logits)))
        index = index[order]
        prior = index // num_classes
        return coder.decode(priors[prior], deltas[prior]), logits.sigmoid(), index % num_classes
