"""Non-maximum suppression."""

from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from rdet.models.kernels.usable import right, usable
from rdet.models.postprocess.dense_postprocess import DensePostprocess, Detections, checked_iou_threshold
from rdet.models.postprocess.nms_of_images import Suppression
from rdet.registry import MODELS
from rdet.schema import Fraction

_CANDIDATES_PER_DETECTION = 10
# Of suppression, before the host looks whether all is decided, which it mostly is.
_ROUNDS = 8


class _Begun(NamedTuple):
    """Suppression in N images after its first rounds, of their C best candidates."""

    whole: tuple[Tensor, Tensor, Tensor, Tensor]  # all candidates
    boxes: Tensor  # (N, C, 4), as `scores` and `labels`, (N, C), the best first
    scores: Tensor
    labels: Tensor
    are_all: Tensor  # (N,), whether no candidate is left out
    suppression: Suppression
    kept: Detections  # as far as it is decided, each (N, max_per_img, ...)
    number: Tensor  # (N,), how many stay
    is_decided: Tensor  # (N,)


class _Kept(NamedTuple):
    """What is kept in N images, ``number`` (N,) of them: (N, max_per_img, ...), the best first."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    number: Tensor


@MODELS.register_module()
class NMSPostprocess(DensePostprocess):
    """Inference of RetinaNet (Focal Loss paper, section 4, "Inference"): a box drops the weaker ones that overlap it.

    Args:
        iou_threshold: Overlap above which the weaker of two boxes of a class is dropped.
        **options: Of :class:`~rdet.models.postprocess.dense_postprocess.DensePostprocess`.
    """

    def __init__(
        self,
        iou_threshold: Fraction = 0.5,
        **options: Any,
    ):
        super().__init__(**options)
        self.iou_threshold = checked_iou_threshold(iou_threshold)

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Keep the boxes that no better one drops, best first, or at least ``max_per_img`` of them.

        Shapes: (n, 4), (n,), (n,) -> (m, 4), (m,), (m,).
        """
        # Only better boxes drop a box: if enough of the best candidates are left, the others need no look.
        best = scores.argsort(descending=True, stable=True)
        for candidates in (best[: _CANDIDATES_PER_DETECTION * self.max_per_img], best):
            found = boxes[candidates], scores[candidates], labels[candidates]
            keep = batched_nms(*found[:2], self._groups(found[2]), self.iou_threshold)
            if len(keep) >= self.max_per_img or len(candidates) == len(best):
                break
        boxes, scores, labels = found
        return boxes[keep], scores[keep], labels[keep]

    def suppress_images(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> list[Detections]:
        begun = self.begin(boxes, scores, labels, is_real)
        return self.suppress_begun(begun) if isinstance(begun, _Begun | _Kept) else super().suppress_images(*begun)

    def begin(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> Any:
        whole = boxes, scores, labels, is_real
        if self._is_host(boxes) or not self._has_this_rule():
            return whole
        if usable(boxes) and boxes.shape[1] and type(self)._groups is DensePostprocess._groups:
            from rdet.models.kernels.suppression import is_right, suppressed

            if right(is_right, boxes.device):
                return _Kept(*suppressed(*whole, self.max_per_img, self.iou_threshold, self.class_agnostic))
        most = _CANDIDATES_PER_DETECTION * self.max_per_img
        # No score is below 0: so what is not real comes last, and its number tells it.
        ranked = scores.masked_fill(~is_real, -1).sort(dim=1, descending=True, stable=True)
        scores, best = ranked.values[:, :most], ranked.indices[:, :most]  # (N, C)
        image = torch.arange(len(boxes), device=boxes.device)[:, None]
        boxes, labels = boxes[image, best], labels[image, best]
        are_all = (ranked.values[:, most:] == -1).all(dim=1)
        suppression = Suppression(boxes, self._groups(labels), scores != -1, self.iou_threshold)
        suppression.go_on(_ROUNDS)
        return _Begun(
            whole, boxes, scores, labels, are_all, suppression, *self._kept(suppression, boxes, scores, labels)
        )

    def suppress_begun(self, begun: Any) -> list[Detections]:
        if isinstance(begun, _Kept):
            numbers = begun.number.tolist()  # the only wait
            images = zip(begun.boxes, begun.scores, begun.labels, numbers, strict=True)
            return [(boxes[:n], scores[:n], labels[:n]) for boxes, scores, labels, n in images]
        if not isinstance(begun, _Begun):
            return super().suppress_begun(begun)
        kept, rounds, suppression = begun.kept, _ROUNDS, copy(begun.suppression)
        # The only wait, unless boxes drop each other in long chains.
        of_images = torch.stack([begun.number, begun.is_decided, begun.are_all], dim=1).tolist()
        while not all(is_decided for _, is_decided, _ in of_images):
            rounds *= 2
            suppression.go_on(rounds)
            kept, number, is_decided = self._kept(suppression, begun.boxes, begun.scores, begun.labels)
            of_images = torch.stack([number, is_decided, begun.are_all], dim=1).tolist()
        found: list[Detections] = []
        for index, (number, _, all_seen) in enumerate(of_images):
            if all_seen or number >= self.max_per_img:
                found.append((kept[0][index, :number], kept[1][index, :number], kept[2][index, :number]))
            else:  # of the best candidates few stay
                found += super().suppress_images(*(part[index : index + 1] for part in begun.whole))
        return found

    def _has_this_rule(self) -> bool:
        own = type(self)
        return (own.suppress, own.suppress_images) == (NMSPostprocess.suppress, NMSPostprocess.suppress_images)

    def _kept(
        self, suppression: Suppression, boxes: Tensor, scores: Tensor, labels: Tensor
    ) -> tuple[Detections, Tensor, Tensor]:
        """Take the best that stay: each (N, max_per_img, ...), how many stay (N,), and whether all is decided (N,)."""
        stays = suppression.stays
        first = stays.byte().sort(dim=1, descending=True, stable=True).indices[:, : self.max_per_img]
        image = torch.arange(len(boxes), device=boxes.device)[:, None]
        kept = boxes[image, first], scores[image, first], labels[image, first]
        return kept, stays.sum(dim=1), suppression.is_decided
