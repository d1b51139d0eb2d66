"""The head of FCOS."""

import torch.nn.functional as F
from mmcv.cnn import Scale
from torch import Tensor, nn

from rdet.models.dense_heads.dense_head import DenseHead
from rdet.registry import MODELS


@MODELS.register_module()
class FCOSHead(DenseHead):
    """RetinaNet's towers with distances that cannot be negative (FCOS, Tian et al., TPAMI 2021, section 3).

    The distances, in strides, are ReLU(s_l * x) with a learned s_l at each level ("normalised
    regression"; the first version of the paper had exp). The centerness branch is there with
    ``loss_quality`` and grows from the box tower. The paper sets
    ``norm_cfg=dict(type='GN', num_groups=32)``. For shapes and further arguments see
    :class:`DenseHead`.

    Args:
        scale_levels: Whether to learn s_l; torchvision has none.

    Attributes:
        encoding: What its numbers can be: the detector refuses another coder.
    """

    encoding = "distances"

    def __init__(self, *args, num_levels: int = 5, scale_levels: bool = True, **options):
        super().__init__(*args, num_levels=num_levels, **options)
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(num_levels)) if scale_levels else None

    def regress(self, x: Tensor, level: int) -> Tensor:
        x = self.at_level(self.conv_reg, level)(x)
        return F.relu(x if self.scales is None else self.scales[level](x))
