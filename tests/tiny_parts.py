"""Backbones so small that a test can train them; configs import them as a user's own file."""

from torch import nn

from rdet.models.backbones.base import Backbone
from rdet.registry import MODELS


@MODELS.register_module()
class TinyBackbone(Backbone):
    """(N, 3, H, W) -> one map of 16 channels at stride 8. The dropout makes training random."""

    def __init__(self, dropout: float = 0.1):
        super().__init__(frozen_stages=0, norm_eval=True, weights=None)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=4, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.out_channels, self.strides = [16], [8]

    def stages(self):
        return [[self.layers]]

    def forward(self, x):
        return [self.layers(x)]


@MODELS.register_module()
class TinyPyramid(Backbone):
    """(N, 3, H, W) -> maps of 16 channels at strides 8, 16 and 32, by a thousandth of the weights of a ResNet-18."""

    def __init__(self, frozen_stages: int = 1, norm_eval: bool = True, weights: str | None = None):
        super().__init__(frozen_stages, norm_eval, weights)
        self.stem = _layer(3, 8, 4)
        self.levels = nn.ModuleList([_layer(8, 16, 2), _layer(16, 16, 2), _layer(16, 16, 2)])
        self.out_channels, self.strides = [16, 16, 16], [8, 16, 32]
        self.freeze()

    def stages(self):
        return [[self.stem], [], *([level] for level in self.levels)]

    def forward(self, x):
        x, maps = self.stem(x), []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


def _layer(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out_channels, stride + 1, stride=stride, padding=stride // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())
