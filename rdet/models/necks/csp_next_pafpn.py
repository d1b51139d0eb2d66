"""The pyramid of RTMDet."""

from torch import nn

from rdet.models.csp import CSPLayer
from rdet.models.csp_next import CSPNeXtBlock
from rdet.models.necks.yolox_pafpn import YOLOXPAFPN
from rdet.registry import MODELS


@MODELS.register_module()
class CSPNeXtPAFPN(YOLOXPAFPN):
    """YOLOX's path aggregation with blocks of CSPNeXt, and a 3x3 convolution at the end of each level.

    RTMDet, Lyu et al., arXiv:2212.07784, section 3.2. For shapes and arguments see :class:`YOLOXPAFPN`. Names of
    weights are MMDetection's.
    """

    def layer(self, in_channels: int, out_channels: int, num_blocks: int) -> nn.Module:
        blocks = [lambda width: CSPNeXtBlock(width, self.make, add_identity=False)] * num_blocks
        return CSPLayer(in_channels, out_channels, blocks, self.make)

    def last(self, in_channels: int, out_channels: int) -> nn.Module:
        return self.make.spatial(in_channels, out_channels)
