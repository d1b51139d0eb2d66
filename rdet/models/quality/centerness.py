"""Distance from the centre as quality."""

import torch
from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.structures.positives import Positives


@MODELS.register_module()
class Centerness(Quality):
    """Centerness of a prior in its object (FCOS, Tian et al., ICCV 2019, equation 3).

    sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b)) with the distances from the prior's centre
    to the sides of the box; 0 for a centre outside of it.

    Shapes: priors (P, 4), boxes (P, 4) -> (P,) in [0, 1].
    """

    def of(self, positives: Positives) -> Tensor:
        return self(positives.priors, positives.boxes)

    def __call__(self, priors: Tensor, boxes: Tensor) -> Tensor:
        center = (priors[:, :2] + priors[:, 2:]) / 2
        near, far = center - boxes[:, :2], boxes[:, 2:] - center  # (P, 2): left, top and right, bottom
        smaller = torch.minimum(near, far).clamp(min=0)
        larger = torch.maximum(near, far).clamp(min=torch.finfo(boxes.dtype).eps)
        return (smaller / larger).prod(dim=1).sqrt()
