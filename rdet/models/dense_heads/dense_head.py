"""Base of dense heads with two towers of convolutions, and their outputs in the order of the priors."""

import math
from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.models.deformable import DeformableConv2d, reset_offsets
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.schema import Count, Fraction, Natural
from rdet.structures import DensePredictions

_SHARING = ("all", "convs", "none")
DEFORMABLE = {"type": DeformableConv2d}  # for mmcv's ConvModule


class DenseHead(BaseDenseHead):
    """Base of heads with a classification and a box tower.

    Each tower is ``stacked_convs`` 3x3 convolutions with ReLU; a final convolution follows it.
    A subclass may change how the box output is read from its tower (:meth:`regress`).

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K), deltas (N, A, D) and, with
    quality, quality (N, A), with A = sum of H_l * W_l * num_priors in the order of the priors.

    Args:
        in_channels: C (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred); where levels have different numbers, a list, and each level has
            final convolutions of its own.
        num_levels: L (inferred); it matters where something is not shared between levels.
        box_dim: D (inferred).
        with_quality: Predict a quality at every prior (inferred: whether there is a ``loss_quality``).
        quality_tower: The tower that it is predicted from: ``'reg'``, or ``'cls'`` as in the first version of FCOS.
        feat_channels: Channels inside the towers.
        stacked_convs: Convolutions of a tower.
        prior_prob: Probability pi of the foreground at every prior at the start of training, set by the
            final bias (Focal Loss paper, section 4.1, "Initialization").
        norm_cfg: Normalisation after each convolution of the towers, for example
            ``dict(type='GN', num_groups=32)`` or ``dict(type='SyncBN')``; None as in the paper.
        conv_bias: Bias of the towers' convolutions; ``'auto'``: where no normalisation follows.
        share: What the levels share of the towers: ``'all'``; ``'convs'``, where each level has its own
            normalisation, since levels differ in their statistics; or ``'none'``.
        dcn_on_last_conv: Whether the last convolution of each tower is deformable, DCNv2.
        pred_kernel_size: Of the final convolutions; odd.
    """

    def __init__(
        self,
        in_channels: Count,
        num_classes: Count,
        num_priors: Count | list[Count],
        num_levels: Count = 5,
        box_dim: Count = 4,
        with_quality: bool = False,
        quality_tower: str = "reg",
        feat_channels: Count = 256,
        stacked_convs: Natural = 4,
        prior_prob: Fraction = 0.01,
        norm_cfg: dict[str, Any] | None = None,
        conv_bias: bool | str = "auto",
        share: str = "all",
        dcn_on_last_conv: bool = False,
        pred_kernel_size: Count = 3,
    ):
        super().__init__()
        if pred_kernel_size % 2 == 0:
            raise ValueError(f"bbox_head.pred_kernel_size is {pred_kernel_size}; it must be odd, or boxes would shift")
        if share not in _SHARING:
            raise ValueError(f"bbox_head.share is {share!r}; valid: {', '.join(map(repr, _SHARING))}")
        if share == "convs" and norm_cfg is None:
            raise ValueError("bbox_head.share='convs' gives each level its own normalisation: set norm_cfg")
        if quality_tower not in ("reg", "cls"):
            raise ValueError(f"bbox_head.quality_tower is {quality_tower!r}; valid: 'reg', 'cls'")
        self.num_classes = num_classes
        self.num_levels = num_levels
        self.box_dim = box_dim
        self.quality_tower = quality_tower
        self.pred_kernel_size = pred_kernel_size
        self.share = share

        def towers() -> nn.Sequential | nn.ModuleList:
            def tower() -> nn.Sequential:
                return nn.Sequential(
                    *(
                        ConvModule(
                            in_channels if i == 0 else feat_channels,
                            feat_channels,
                            3,
                            padding=1,
                            conv_cfg=DEFORMABLE if dcn_on_last_conv and i == stacked_convs - 1 else None,
                            norm_cfg=norm_cfg,
                            bias=conv_bias,
                        )
                        for i in range(stacked_convs)
                    )
                )

            if share == "all":
                return tower()
            levels = [tower() for _ in range(num_levels)]
            if share == "convs":
                for level in levels[1:]:
                    for layer, first in zip(level, levels[0], strict=True):
                        layer.conv = first.conv
            return nn.ModuleList(levels)

        width = feat_channels if stacked_convs else in_channels
        self.cls_convs = towers()
        self.reg_convs = towers()
        self.priors_per_cell = None if isinstance(num_priors, int) else list(num_priors)
        self.conv_cls = self._final(width, num_priors, num_classes)
        self.conv_reg = self._final(width, num_priors, box_dim)
        self.conv_quality = self._final(width, num_priors, 1) if with_quality else None
        init_head(self, prior_prob, self.conv_cls)

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas, quality = [], [], []
        for level, x in enumerate(levels):
            shared = self.share == "all"
            cls_features: Tensor = (self.cls_convs if shared else self.cls_convs[level])(x)
            box_features: Tensor = (self.reg_convs if shared else self.reg_convs[level])(x)
            logits.append(per_prior(self.at_level(self.conv_cls, level)(cls_features), self.num_classes))
            deltas.append(per_prior(self.regress(box_features, level), self.box_dim))
            if self.conv_quality is not None:
                features = box_features if self.quality_tower == "reg" else cls_features
                quality.append(per_prior(self.at_level(self.conv_quality, level)(features), 1).squeeze(2))
        return DensePredictions(
            torch.cat(logits, dim=1),
            torch.cat(deltas, dim=1),
            sizes_of(levels),
            torch.cat(quality, dim=1) if quality else None,
            priors_per_cell=self.priors_per_cell,
        )

    def regress(self, x: Tensor, level: int) -> Tensor:
        """Read the boxes of one level from its tower's features: (N, C, H, W) -> (N, num_priors * D, H, W)."""
        output: Tensor = self.at_level(self.conv_reg, level)(x)
        return output

    def at_level(self, final: nn.Module, level: int) -> nn.Module:
        """Take a level's own convolution of ``conv_cls``, ``conv_reg`` or ``conv_quality``, or the shared one."""
        return final[level] if isinstance(final, nn.ModuleList) else final

    def _final(self, width: int, num_priors: int | list[int], numbers: int) -> nn.Conv2d | nn.ModuleList:
        """Make the convolution that gives each prior its ``numbers``: one, or one for each level."""
        size = self.pred_kernel_size
        if isinstance(num_priors, int):
            return nn.Conv2d(width, num_priors * numbers, size, padding=size // 2)
        return nn.ModuleList(nn.Conv2d(width, count * numbers, size, padding=size // 2) for count in num_priors)


def init_head(head: nn.Module, prior_prob: float, *classifiers: nn.Module) -> None:
    """Initialise convolutions with sigma 0.01, and the classes' bias by ``prior_prob`` (Focal Loss paper, section 4.1).

    Args:
        head: The network whose convolutions are initialised.
        prior_prob: pi, the probability that each of ``classifiers`` gives at the start.
        classifiers: Final layers of probabilities, with a bias; or lists of them.

    Raises:
        ValueError: ``prior_prob`` is no probability between 0 and 1.
    """
    init_normal(head)
    init_bias(prior_prob, *classifiers)


def init_normal(head: nn.Module) -> None:
    """Initialise convolutions with sigma 0.01, and biases with 0; see :func:`init_head`."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    reset_offsets(head)


def init_bias(prior_prob: float, *classifiers: nn.Module) -> None:
    """Initialise the bias of final layers so that they give a probability; see :func:`init_head`."""
    if not 0 < prior_prob < 1:
        raise ValueError(f"bbox_head.prior_prob is {prior_prob}; it must lie between 0 and 1")
    for layer in classifiers:
        for name, parameter in layer.named_parameters():
            if name.rpartition(".")[2] == "bias":
                nn.init.constant_(parameter, -math.log((1 - prior_prob) / prior_prob))


def sizes_of(levels: list[Tensor]) -> list[tuple[int, int]]:
    """Read the height and width of each map (N, C, H_l, W_l), in cells."""
    return [(x.shape[-2], x.shape[-1]) for x in levels]


def per_prior(x: Tensor, width: int) -> Tensor:
    """Sort outputs as the priors are: (N, P * width, H, W) -> (N, H * W * P, width), with P priors at a cell."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)
