"""The head of RTMDet."""

from collections.abc import Iterable
from typing import Any

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.models.dense_heads.dense_head import init_normal
from rdet.models.dense_heads.yolox_head import YOLOXHead
from rdet.registry import MODELS


@MODELS.register_module()
class RTMDetSepBNHead(YOLOXHead):
    """YOLOX's towers with convolutions that levels share, but not their normalisation, and distances as boxes.

    RTMDet, Lyu et al., arXiv:2212.07784, section 3.2 ("Shared detection head"). For shapes and arguments see
    :class:`YOLOXHead`.

    Args:
        exp_on_reg: Whether distances, in strides, are exponentials of the outputs, as of RTMDet-m to x, or the outputs
            themselves, as of tiny and s.

    Attributes:
        encoding: The only encoding that it can predict; the detector refuses coders of others.
    """

    encoding = "distances"

    def __init__(self, *args: Any, exp_on_reg: bool = True, **options: Any):
        super().__init__(*args, **options)
        self.exp_on_reg = exp_on_reg
        for towers in (self.cls_convs, self.reg_convs):
            for tower in list(towers)[1:]:
                for layer, first in zip(_layers(tower), _layers(towers[0]), strict=True):
                    layer.conv = first.conv

    def initialise(self) -> None:
        init_normal(self)

    def regress(self, x: Tensor, level: int) -> Tensor:
        x = super().regress(x, level)
        # Half precision has no room for wild distances.
        return x.float().exp() if self.exp_on_reg else x


def _layers(tower: nn.Module) -> Iterable[ConvModule]:
    return (module for module in tower.modules() if isinstance(module, ConvModule))
