"""SSDLite's predictors."""

from functools import partial
from typing import Any

from torch import nn
from torchvision.ops import Conv2dNormActivation

from rdet.models.dense_heads.ssd_head import SSDHead
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class SSDLiteHead(SSDHead):
    """SSD's predictors as depthwise 3x3 convolutions with ReLU6 and 1x1 ones (SSDLite, Sandler et al., CVPR 2018).

    Shapes: list of L maps (N, C_l, H_l, W_l) -> logits (N, A, K), deltas (N, A, D); see :class:`SSDHead`.

    Args:
        in_channels: C_l of each level (inferred).
        num_classes, num_priors, box_dim: See :class:`SSDHead`.
        norm_cfg: Normalisation after the depthwise convolutions; None: batch normalisation with eps 0.001 and momentum
            0.03, as torchvision has it.
    """

    def __init__(
        self,
        in_channels: list[Count],
        num_classes: Count,
        num_priors: Count | list[Count],
        box_dim: Count = 4,
        norm_cfg: dict[str, Any] | None = None,
    ):
        self._norm_cfg: dict[str, Any] = norm_cfg or {"type": "BN", "eps": 0.001, "momentum": 0.03}
        super().__init__(in_channels, num_classes, num_priors, box_dim)

    def predictor(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            Conv2dNormActivation(
                in_channels,
                in_channels,
                groups=in_channels,
                norm_layer=partial(build_norm, self._norm_cfg),
                activation_layer=nn.ReLU6,
            ),
            nn.Conv2d(in_channels, out_channels, 1),
        )

    def init_layers(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
