"""MobileNetV3 as SSDLite takes it."""

from functools import partial

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import fold_norms
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count, Natural

# The first layer of the stem and of each stage, as torchvision counts layers; the last stage begins inside its layer.
_STARTS = (0, 2, 4, 7, 13)
_C4 = _STARTS[-1]


@MODELS.register_module()
class SSDLiteMobileNetV3(Backbone):
    """torchvision's MobileNetV3-Large with the two maps of SSDLite (Howard et al., ICCV 2019, section 6.3).

    The first is inside the block that reduces to stride 32: what its first convolution expands. The second is the
    last, after the 1x1 convolution that widens it. Names of weights are torchvision's: ImageNet's load as they are.

    Shapes: (N, 3, H, W) -> (N, 672, ceil(H / 16), ceil(W / 16)), (N, 960, ceil(H / 32), ceil(W / 32)).

    Args:
        reduced_tail: Half of the channels in the last stage (Howard et al., Table 6); ImageNet's weights have all.
        norm_cfg: Normalisation, as mmcv's ``build_norm_layer`` takes it; None: batch normalisation with eps 0.001 and
            momentum 0.03.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images; see :class:`ResNet`.
    """

    def __init__(
        self,
        reduced_tail: bool = False,
        norm_cfg: dict | None = None,
        frozen_stages: Natural = 0,
        norm_eval: bool = False,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        norm_layer = partial(build_norm, norm_cfg or {"type": "BN", "eps": 0.001, "momentum": 0.03})
        whole = mobilenet_v3_large(norm_layer=norm_layer, reduced_tail=reduced_tail)
        self.features = whole.features
        if not weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, std=0.03)  # as torchvision's SSDLite
        self.out_channels = [self.features[_C4].block[0].out_channels, self.features[-1].out_channels]
        self.strides = [16, 32]
        self.left_out = frozenset(whole.state_dict()) - set(self.state_dict())
        self.take_channels(in_channels)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        layers = list(self.features)
        expansion, *reduction = self.features[_C4].block
        *before, third, _ = [layers[start:end] for start, end in zip(_STARTS, (*_STARTS[1:], None), strict=True)]
        return [*before, [*third, expansion], [*reduction, *layers[_C4 + 1 :]]]

    def fold_norms(self) -> None:
        """Make batch normalisation part of the convolutions for good, for inference."""
        fold_norms(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage, layers in enumerate(self.stages()):
            for layer in layers:
                x = layer(x)
            if stage >= 3:
                maps.append(x)
        return maps
