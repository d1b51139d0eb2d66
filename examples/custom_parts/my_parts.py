"""A head, an assigner and a loss of one's own, in one file outside of the package.

docs/custom_parts.md explains it; my_detector.py beside it is a config that uses all three.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.models.assigners.base import ImageAssigner
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.losses.base import HardTargetLoss
from rdet.models.losses.focal_loss import focal_loss
from rdet.registry import MODELS
from rdet.structures import DensePredictions
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.match_batch import MatchImage


@MODELS.register_module()
class OneTowerHead(BaseDenseHead):
    """Classes and boxes from one tower instead of two: half the cost.

    The constructor names the facts that it needs; they follow from the parts around it.
    """

    def __init__(self, in_channels: int, num_classes: int, num_priors: int, box_dim: int, depth: int = 2):
        super().__init__()
        self.num_classes = num_classes
        self.box_dim = box_dim
        norm = {"type": "GN", "num_groups": 8}
        self.tower = nn.Sequential(
            *(ConvModule(in_channels, in_channels, 3, padding=1, norm_cfg=norm) for _ in range(depth))
        )
        self.cls = nn.Conv2d(in_channels, num_priors * num_classes, 1)
        self.reg = nn.Conv2d(in_channels, num_priors * box_dim, 1)
        nn.init.constant_(self.cls.get_parameter("bias"), -4.6)  # every prior is foreground with probability 0.01

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        features = [self.tower(x) for x in levels]

        def flatten(x: Tensor, width: int) -> Tensor:
            """(N, P * width, H, W) -> (N, H * W * P, width): the order of the priors."""
            return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)

        return DensePredictions(
            torch.cat([flatten(self.cls(x), self.num_classes) for x in features], dim=1),
            torch.cat([flatten(self.reg(x), self.box_dim) for x in features], dim=1),
            [(x.shape[-2], x.shape[-1]) for x in levels],
        )


@MODELS.register_module()
class SameSizeAssigner(ImageAssigner):
    """A prior gets the box whose sides differ least from its own, if its centre lies inside that box.

    Args:
        max_ratio: Largest factor between the sides of the prior and those of its box.
        **options: What every assigner has, such as ``ignore_iof_thr``.
    """

    def __init__(self, max_ratio: float = 1.6, **options: Any):
        super().__init__(**options)
        self.max_ratio = max_ratio

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes)

    def __call__(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Assign priors (A, 4) to boxes (G, 4), both xyxy -> (A,) index of a box or ``BACKGROUND``."""
        if not len(boxes):
            return torch.full((len(priors),), BACKGROUND, device=priors.device)
        center = (priors[:, None, :2] + priors[:, None, 2:]) / 2  # (A, 1, 2)
        inside = ((center > boxes[:, :2]) & (center < boxes[:, 2:])).all(dim=2)  # (A, G)
        side = (priors[:, 2:] - priors[:, :2]).log()
        difference = (side[:, None] - (boxes[:, 2:] - boxes[:, :2]).clamp(min=1).log()).abs().amax(dim=2)  # (A, G)
        best, index = difference.masked_fill(~inside, torch.inf).min(dim=1)
        return torch.where(best.exp() <= self.max_ratio, index, BACKGROUND)


@MODELS.register_module()
class PolyFocalLoss(HardTargetLoss):
    """Poly-1 focal loss (Leng et al., "PolyLoss", ICLR 2022): the focal loss and epsilon * (1 - p_t)^(gamma + 1).

    Shapes: logits (..., K), labels (...,) -> (...,), summed over the K classes.
    """

    def __init__(self, gamma: float = 2.0, epsilon: float = 1.0, alpha: float = 0.25):
        super().__init__()
        self.gamma = gamma
        self.epsilon = epsilon
        self.alpha = alpha

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = logits.float()
        target = F.one_hot(labels.clamp(min=0), logits.shape[-1]) * (labels >= 0)[..., None]  # (..., K)
        signed = torch.where(target > 0, logits, -logits)
        loss = focal_loss(signed, self.gamma) + self.epsilon * torch.sigmoid(-signed) ** (self.gamma + 1)
        loss = loss * torch.where(target > 0, self.alpha, 1 - self.alpha)
        return loss.sum(dim=-1) * (labels != IGNORE)
