"""What a detector may find in an image: what goes into its suppression, and what just did not."""

from functools import partial
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from rdet.deploy.at_size import detect_at_size
from rdet.models.detectors.one_stage_detector import OneStageDetector


@torch.no_grad()
def candidates_of(
    model: OneStageDetector, data: dict[str, Any], size: tuple[int, int] | None, tolerance: float
) -> InstanceData:
    """Find what a detector suppresses in an image, and what is missing of it by rounding.

    Args:
        model: The detector.
        data: ``inputs`` and ``data_samples`` of one image.
        size: See :func:`~rdet.deploy.at_size.detect_at_size`.
        tolerance: Of scores.

    Returns:
        ``bboxes`` (n, 4) in pixels of the original image, ``scores`` (n,), ``labels`` (n,), and ``at_cut`` (n,) bool:
        whether the score is within ``tolerance`` of that of the last that ``topk_per_level`` lets through of a level
        which has more.
    """
    kept: list[tuple] = []
    before, model.on_predictions = model.on_predictions, lambda *found: kept.append(found)
    try:
        (sample,) = detect_at_size(model, data, size)
    finally:
        model.on_predictions = before
    predictions, priors, _ = kept[0]
    predictions = predictions._replace(logits=model.criterion.loss_cls.binary_logits(predictions.logits))
    rule = model.postprocess
    ranks_logits = predictions.quality_logits is None or rule.rank_by == "class_score"

    down_to_the_cut = partial(_down_to_the_cut, tolerance=tolerance, is_logit=ranks_logits)
    best = [rule.best_of_level(*level, down_to_the_cut) for level in rule.levels(predictions)]
    rank, index, at_cut = (torch.cat(parts, dim=1) for parts in zip(*best, strict=True))
    found = rule.decoded(rank, index, predictions, priors, model.bbox_coder)
    height, width = sample.img_shape[:2]
    limits = torch.tensor([[width, height, width, height]], dtype=torch.float32, device=priors.device)
    boxes, scores, labels, is_real = rule.inside(*found, torch.ones_like(at_cut), limits)
    factor = torch.tensor(sample.scale_factor, dtype=torch.float32).repeat(2)
    every = InstanceData(bboxes=boxes[0].cpu() / factor, scores=scores[0], labels=labels[0], at_cut=at_cut[0]).cpu()
    return every[is_real[0].cpu()]


def _down_to_the_cut(
    rank: Tensor, threshold: float | None, topk: int, tolerance: float, is_logit: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the ``topk`` largest of (1, A, K), and those that score hardly less: value, index, at cut."""
    (row,) = rank.float().flatten(1)
    order = row.argsort(descending=True)
    values = row[order]
    if threshold is not None:
        values = values[values > threshold]
    if len(values) <= topk:
        return values[None], order[None, : len(values)], torch.zeros_like(values[None], dtype=torch.bool)
    scores = values.sigmoid() if is_logit else values
    last = scores[topk - 1]
    count = int((scores >= last - tolerance).sum())
    return values[None, :count], order[None, :count], (scores[:count] <= last + tolerance)[None]
