"""The head of ATSS and GFL."""

from typing import Any

from mmcv.cnn import Scale
from torch import Tensor, nn

from rdet.models.dense_heads.dense_head import DenseHead
from rdet.registry import MODELS


@MODELS.register_module(name=["ATSSHead", "GFLHead"])
class ATSSHead(DenseHead):
    """RetinaNet's towers with a learned factor of the box output at each level (ATSS, Zhang et al., CVPR 2020).

    With ``loss_quality`` it has ATSS's branch for the centerness; without, and with a
    distribution for each side, it is the head of GFL (Li et al., NeurIPS 2020). Both papers set
    ``norm_cfg=dict(type='GN', num_groups=32)``. For shapes and arguments see :class:`DenseHead`.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(self.num_levels))

    def regress(self, x: Tensor, level: int) -> Tensor:
        scaled: Tensor = self.scales[level](super().regress(x, level))
        return scaled
