"""DSSD's predictors."""

from torch import Tensor, nn

from rdet.models.dense_heads.ssd_head import SSDHead
from rdet.models.xavier import init_xavier
from rdet.registry import MODELS
from rdet.schema import Count
from rdet.structures import DensePredictions


@MODELS.register_module()
class DSSDHead(SSDHead):
    """SSD's predictors after a residual block a level (DSSD, Fu et al., arXiv:1701.06659, section 3.2, Figure 2 (c)).

    Shapes: list of L maps (N, C_l, H_l, W_l) -> logits (N, A, K), deltas (N, A, D); see :class:`SSDHead`.

    Args:
        in_channels: C_l of each level (inferred).
        num_classes, num_priors, box_dim: See :class:`SSDHead`.
        module_channels: Of the result of each block.
        middle_channels: Of its convolutions before that.
    """

    def __init__(
        self,
        in_channels: list[Count],
        num_classes: Count,
        num_priors: Count | list[Count],
        box_dim: Count = 4,
        module_channels: Count = 1024,
        middle_channels: Count = 256,
    ):
        super().__init__([module_channels] * len(in_channels), num_classes, num_priors, box_dim)
        self.prediction_modules = nn.ModuleList(
            PredictionModule(width, middle_channels, module_channels) for width in in_channels
        )

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        return super().forward([module(x) for module, x in zip(self.prediction_modules, levels, strict=True)])


class PredictionModule(nn.Module):
    """Three 1x1 convolutions beside one (Fu et al., Figure 2 (c)).

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W).

    Args:
        in_channels: Of the map.
        middle_channels: Of the first two convolutions.
        out_channels: Of the sum.
    """

    def __init__(self, in_channels: int, middle_channels: int, out_channels: int):
        super().__init__()
        self.branch = nn.Sequential(
            *(nn.Conv2d(in_channels, middle_channels, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(middle_channels, middle_channels, 1), nn.ReLU(inplace=True)),
            nn.Conv2d(middle_channels, out_channels, 1),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        init_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.branch(x) + self.shortcut(x)
        return total.relu()
