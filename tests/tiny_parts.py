"""A backbone so small that a test can train it; configs import it as a user's own file."""

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
