"""Assignment by how well a prior's prediction classifies and localises at once."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import box_centers, ignore_background, is_inside
from rdet.registry import MODELS


@MODELS.register_module()
class TaskAlignedAssigner:
    """Each box gets the priors whose predictions are best aligned with it (TOOD, Feng et al., ICCV 2021, section 3.2).

    The alignment is t = s^alpha * u^beta, with the score s of the box's class and the IoU u of the
    predicted box. Of the priors whose centre lies inside the box, the ``topk`` of largest t > 0 are
    positive. A prior that several boxes claim goes to the one its prediction overlaps most. For
    ``ignore_iof_thr`` see :class:`MaxIoUAssigner`.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Positives of a box.
        alpha, beta: Exponents of score and IoU.
        ignore_iof_thr: Share of a prior's area inside an ignored region.
        chunk_size: Boxes that are compared with all priors at once.
    """

    def __init__(
        self,
        topk: int = 13,
        alpha: float = 1.0,
        beta: float = 6.0,
        ignore_iof_thr: float = 0.5,
        chunk_size: int = 64,
    ):
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.alpha = alpha
        self.beta = beta
        self.ignore_iof_thr = ignore_iof_thr
        self.chunk_size = chunk_size

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        labels: Tensor,
        scores: Tensor,
        predicted: Tensor,
        ignored: Tensor | None = None,
    ) -> Tensor:
        """Assigns the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            labels: (G,) int64, their classes.
            scores: (A, K) probabilities of the classes.
            predicted: (A, 4) xyxy.
            ignored: (I, 4) xyxy regions that are neither object nor background.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``.
        """
        claims, centers, predicted = Claims(priors), box_centers(priors), predicted.float()
        for start in range(0, len(boxes), self.chunk_size):
            chunk, classes = (values[start : start + self.chunk_size] for values in (boxes, labels))
            iou = box_iou(chunk, predicted)  # (chunk, A)
            alignment = scores[:, classes].T.float() ** self.alpha * iou**self.beta
            alignment = torch.where(is_inside(centers, chunk[:, None]), alignment, 0)
            positive = mark_largest(alignment, self.topk) & (alignment > 0)
            claims.add(torch.where(positive, iou, -torch.inf), start)
        return ignore_background(claims.boxes, priors, ignored, self.ignore_iof_thr, self.chunk_size)
