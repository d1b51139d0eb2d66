"""The head of DDOD."""

from typing import Any

from torch import nn

from rdet.models.deformable import DeformableConv2d, made_deformable
from rdet.models.dense_heads.atss_head import ATSSHead
from rdet.registry import MODELS


@MODELS.register_module()
class DDODHead(ATSSHead):
    """ATSS's head whose towers choose where to look (DDOD, Chen et al., ACM MM 2021).

    The first convolution of each tower is deformable, DCN, so that classes and boxes need not be read from the same
    places. With ``loss_quality`` it has a branch for the IoU. Its authors set
    ``norm_cfg=dict(type='GN', num_groups=32)``. For shapes and arguments see
    :class:`~rdet.models.dense_heads.dense_head.DenseHead`.

    Raises:
        ValueError: The towers have no convolutions.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        towers: Any
        for towers in (self.cls_convs, self.reg_convs):
            made: dict[nn.Conv2d, DeformableConv2d] = {}  # levels may share their convolutions
            for tower in [towers] if self.share == "all" else towers:
                if not len(tower):
                    raise ValueError("bbox_head.stacked_convs is 0, and DDODHead needs the first: take 1 or more")
                conv = tower[0].conv
                if conv not in made:
                    made[conv] = made_deformable(conv, deform_groups=1, modulated=False)
                tower[0].conv = made[conv]
