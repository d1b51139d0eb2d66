"""A detector whose forward takes and gives tensors alone."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.deploy.suppression import stays_by_nms, suppress
from rdet.errors import ConfigError
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.structures import DensePredictions

Head = Literal["raw", "decoded", "end2end"]
HEADS: tuple[Head, ...] = ("raw", "decoded", "end2end")


class TensorDetector(nn.Module):
    """The inference of a detector as a function of tensors, which exports and ``torch.compile`` share.

    No shape of an output depends on a value, nor does one within, but where ``end2end`` suppresses. It gives what
    ``predict`` of the detector gives, in pixels of the network's input.

    Shapes: images (N, C, H, W) uint8 or float32 as loaded, filled up at the right and the bottom with anything, H and W
    multiples of ``pad_size_divisor``; image_sizes (N, 2) int64, height and width of each before that. Returns, by
    ``head``:

    - ``'end2end'``: boxes (N, M, 4) xyxy, scores (N, M), labels (N, M) int64, counts (N,) int64, with
      M = ``max_per_img``; best first, and zeros after ``counts``. A count of -1: nothing is found, and the network
      gives numbers that are not finite.
    - ``'decoded'``: boxes (N, C, 4), scores (N, C), -1 where there is no box, labels (N, C) int64: what suppression
      gets. All scores NaN: as a count of -1.
    - ``'raw'``: logits (N, A, K) whose sigmoid is the probability, deltas (N, A, D), quality logits (N, A) where
      there are any, and level_sizes (L, 2) int64.

    Args:
        detector: In eval mode. It is not copied.
        head: Where it ends.
        one_operator: Whether suppression is the operator ``rdet::suppress``, which only rdet knows, and not
            torchvision's.

    Raises:
        ConfigError: The detector's suppression is not one that can be inside.
    """

    def __init__(self, detector: OneStageDetector, head: Head = "end2end", one_operator: bool = False):
        super().__init__()
        if head == "end2end":
            check_suppression(detector)
        self.detector = detector
        self.head = head
        self.one_operator = one_operator

    def forward(self, images: Tensor, image_sizes: Tensor) -> tuple[Tensor, ...]:
        predictions = self.detector(self.normalized(images, image_sizes), mode="tensor")
        logits = self.detector.criterion.loss_cls.binary_logits(predictions.logits)
        predictions = predictions._replace(logits=logits)
        if self.head == "raw":
            return self._raw(predictions)
        priors = self.detector.anchor_generator.make(predictions.level_sizes, images.device)
        # Width, height, width, height of each.
        limits = torch.cat([image_sizes, image_sizes], dim=1).flip(1).float()
        rule = self.detector.postprocess
        boxes, scores, labels, is_real = rule.candidates(predictions, priors, self.detector.bbox_coder, limits)
        scores = torch.where(is_real, scores, -1.0)
        # NaN exceeds no threshold, and a sum of numbers is finite if they are.
        broken = ~is_real.any(dim=1) & ~(logits.flatten(1).float().sum(dim=1).abs() <= torch.finfo(torch.float32).max)
        if self.head == "decoded":
            return boxes, torch.where(broken[:, None], torch.nan, scores), labels
        *found, counts = self._best(boxes, scores, labels)
        return *found, torch.where(broken, -1, counts)

    def normalized(self, images: Tensor, image_sizes: Tensor) -> Tensor:
        """Normalise images (N, C, H, W), and make 0 what is not of an image: float32 in channels-last memory."""
        ready = self.detector.data_preprocessor
        numbers = images.dtype.is_floating_point
        images = images.float()
        if ready.bgr_to_rgb:
            images = images.flip(1)
        y = torch.arange(images.shape[2], device=images.device)
        x = torch.arange(images.shape[3], device=images.device)
        inside = (y < image_sizes[:, :1])[:, :, None] & (x < image_sizes[:, 1:])[:, None]  # (N, H, W)
        normal = (images - ready.mean) / ready.std
        # Floats there may be NaN; else a product does, which ONNX Runtime computes faster than a choice.
        normal = torch.where(inside[:, None], normal, 0.0) if numbers else normal * inside[:, None]
        if torch.compiler.is_exporting() or torch.jit.is_tracing():
            return normal
        return normal.contiguous(memory_format=torch.channels_last)

    def _raw(self, predictions: DensePredictions) -> tuple[Tensor, ...]:
        sizes = [torch.stack([_number(side) for side in size]) for size in predictions.level_sizes]
        quality = () if predictions.quality_logits is None else (predictions.quality_logits.float(),)
        return predictions.logits.float(), predictions.deltas.float(), *quality, torch.stack(sizes)

    def _best(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Suppress (N, C, 4), (N, C), (N, C), and keep the best ``max_per_img``."""
        rule = self.detector.postprocess
        assert isinstance(rule, NMSPostprocess)
        groups = torch.zeros_like(labels) if rule.class_agnostic else labels
        # A box whose corners are in the wrong order overlaps nothing; here it has no area instead.
        upright = torch.cat([boxes[..., :2], torch.maximum(boxes[..., :2], boxes[..., 2:])], dim=-1)
        if self.one_operator:
            count = 1 if rule.class_agnostic else int(self.detector.num_classes or 1)
            stays = suppress(upright, scores, groups, count, rule.iou_threshold, rule.max_per_img)
        else:
            stays = stays_by_nms(upright, scores, groups, rule.iou_threshold)
        scores = torch.where(stays, scores, -1.0)
        most = min(rule.max_per_img, scores.shape[1])
        scores, index = scores.topk(most, dim=1)
        boxes = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        labels = labels.gather(1, index)
        is_real = scores >= 0
        counts = is_real.sum(dim=1)
        found = boxes.where(is_real[..., None], 0.0), scores.where(is_real, 0.0), labels.where(is_real, 0)
        missing = rule.max_per_img - most
        if missing:
            found = F.pad(found[0], (0, 0, 0, missing)), F.pad(found[1], (0, missing)), F.pad(found[2], (0, missing))
        return *found, counts


def output_names(head: Head, has_quality: bool) -> list[str]:
    """Name what :class:`TensorDetector` returns; ``has_quality``: whether the detector's head predicts one."""
    if head == "raw":
        return ["logits", "deltas", *(["quality"] if has_quality else []), "level_sizes"]
    return ["boxes", "scores", "labels", *(["counts"] if head == "end2end" else [])]


def check_suppression(detector: OneStageDetector) -> None:
    """Raise ConfigError unless the suppression of a detector can be inside of a file."""
    rule = detector.postprocess
    if not isinstance(rule, NMSPostprocess) or type(rule).suppress is not NMSPostprocess.suppress:
        raise ConfigError(
            f"model.postprocess is {type(rule).__name__}, whose suppression has no operator in other runtimes; export "
            "with --head decoded and suppress outside (rdet infer does), or set model.postprocess.type=NMSPostprocess"
        )


def _number(side: int) -> Tensor:
    return side if isinstance(side, Tensor) else torch.scalar_tensor(side, dtype=torch.int64)
