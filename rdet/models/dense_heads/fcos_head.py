"""The head of FCOS."""

from typing import Any

import torch.nn.functional as F
from mmcv.cnn import Scale
from torch import Tensor, nn

from rdet.models.dense_heads.dense_head import DenseHead
from rdet.registry import MODELS


@MODELS.register_module()
class FCOSHead(DenseHead):
    """RetinaNet's towers with distances that cannot be negative (FCOS, Tian et al., TPAMI 2021, section 3).

    The distances, in strides, are ReLU(s_l * x) with a learned s_l at each level ("normalised
    regression"). In the first version of the paper (ICCV 2019) they are exp(s_l * x), in pixels: take
    ``distance='exp'`` and a coder with ``unit='pixel'``. The centerness branch is there with
    ``loss_quality``. The paper sets ``norm_cfg=dict(type='GN', num_groups=32)``. For shapes and
    further arguments see :class:`DenseHead`.

    Args:
        scale_levels: Whether to learn s_l; torchvision has none.
        distance: ``'relu'`` or ``'exp'``.

    Attributes:
        encoding: The only encoding that it can predict; the detector refuses coders of others.

    Raises:
        ValueError: There is no such ``distance``.
    """

    encoding = "distances"

    def __init__(self, *args: Any, scale_levels: bool = True, distance: str = "relu", **options: Any):
        super().__init__(*args, **options)
        if distance not in ("relu", "exp"):
            raise ValueError(f"bbox_head.distance is {distance!r}; valid: 'relu', 'exp'")
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(self.num_levels)) if scale_levels else None
        self.distance = distance

    def regress(self, x: Tensor, level: int) -> Tensor:
        x = super().regress(x, level)
        if self.scales is not None:
            x = self.scales[level](x)
        # Half precision has no room for distances in pixels.
        return F.relu(x) if self.distance == "relu" else x.float().exp()
