"""The head of VarifocalNet."""

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, Scale
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from rdet.models.deformable import deformed
from rdet.models.dense_heads.dense_head import DenseHead, init_head, per_prior, sizes_of
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural, NotNegative, Positive
from rdet.structures import DensePredictions

# Of the nine points of a 3x3 kernel, row by row: which sides of the box they lie on, as (y, x) in units of the
# distances to left, top, right and bottom (VarifocalNet, section 3.2: the centre, four corners, four sides' middles).
_STAR = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


@MODELS.register_module()
class VFNetHead(DenseHead):
    """Head of VarifocalNet (Zhang et al., CVPR 2021, sections 3.2 and 3.3).

    A first box is predicted at each point. Nine points of it, its centre, corners and the middles of
    its sides, are where a "star" convolution looks: from there the class is predicted, and factors
    that refine the box. Its ``initial_deltas`` are the first boxes, ``deltas`` the refined ones: with
    ``loss_bbox_initial`` both are trained.

    It predicts distances in strides at one prior a cell: use ``DistancePointBBoxCoder``, with
    ``PointGenerator`` or with one square anchor a cell. The paper sets
    ``norm_cfg=dict(type='GN', num_groups=32)`` and ``stacked_convs=3``. For shapes and further
    arguments see :class:`DenseHead`; levels share all but the scales.

    Args:
        base_distance: Distance in strides where the scaled output is 0; 8 is the upper limit of FCOS's levels.
        star_gradient: Part of the gradient that flows through where the convolution looks.
        dcn_on_last_conv: Whether the last convolution of each tower is deformable, DCNv2.

    Attributes:
        encoding: The only encoding that it can predict; the detector refuses coders of others.

    Raises:
        ValueError: The priors are not one a cell, or a number has no meaning.
    """

    encoding = "distances"

    def __init__(
        self,
        in_channels: Count,
        num_classes: Count,
        num_priors: Count | list[Count] = 1,
        num_levels: Count = 5,
        box_dim: Count = 4,
        feat_channels: Count = 256,
        stacked_convs: Natural = 3,
        prior_prob: Fraction = 0.01,
        norm_cfg: dict[str, Any] | None = None,
        conv_bias: bool | str = "auto",
        base_distance: Positive = 8.0,
        star_gradient: NotNegative = 0.1,
        dcn_on_last_conv: bool = False,
    ):
        if num_priors != 1 or box_dim != 4:
            raise ValueError(
                f"VFNetHead predicts four distances at one point of a cell, not {box_dim} numbers at {num_priors}; "
                "set model.anchor_generator to PointGenerator and model.bbox_coder to DistancePointBBoxCoder"
            )
        if base_distance <= 0 or not 0 <= star_gradient <= 1:
            raise ValueError(
                f"bbox_head.base_distance is {base_distance} and star_gradient is {star_gradient}; the first must be "
                "positive, the second must lie in [0, 1]"
            )
        super().__init__(
            in_channels,
            num_classes,
            num_priors,
            num_levels,
            box_dim,
            feat_channels=feat_channels,
            stacked_convs=stacked_convs,
            prior_prob=prior_prob,
            norm_cfg=norm_cfg,
            conv_bias=conv_bias,
            dcn_on_last_conv=dcn_on_last_conv,
        )
        width = feat_channels if stacked_convs else in_channels
        self.reg_conv = ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg, bias=conv_bias)
        self.reg_star_conv = DeformConv2d(width, width, 3, padding=1, bias=False)
        self.cls_star_conv = DeformConv2d(width, width, 3, padding=1, bias=False)
        self.conv_refine = nn.Conv2d(width, 4, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(num_levels))
        self.refine_scales = nn.ModuleList(Scale(1.0) for _ in range(num_levels))
        self.base_distance = base_distance
        self.star_gradient = star_gradient
        init_head(self, prior_prob, self.conv_cls)
        for star in (self.reg_star_conv, self.cls_star_conv):
            nn.init.normal_(star.weight, std=0.01)

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, first, refined = [], [], []
        for level, x in enumerate(levels):
            cls_features, box_features = self.cls_convs(x), self.reg_convs(x)
            # An infinite distance would spread as NaN.
            scaled = self.scales[level](self.conv_reg(self.reg_conv(box_features))).float()
            distance = scaled.clamp(max=10).exp() * self.base_distance  # (N, 4, H, W) in strides
            seen = torch.lerp(distance.detach(), distance, self.star_gradient)
            offset = star_offset(seen)
            box_features = F.relu(star_convolution(self.reg_star_conv, box_features, offset))
            factor = self.refine_scales[level](self.conv_refine(box_features)).float().clamp(max=10).exp()
            cls_features = F.relu(star_convolution(self.cls_star_conv, cls_features, offset))
            logits.append(per_prior(self.conv_cls(cls_features), self.num_classes))
            first.append(per_prior(distance, 4))
            refined.append(per_prior(factor * distance.detach(), 4))
        return DensePredictions(
            torch.cat(logits, dim=1),
            torch.cat(refined, dim=1),
            sizes_of(levels),
            initial_deltas=torch.cat(first, dim=1),
        )


def star_convolution(layer: DeformConv2d, features: Tensor, offset: Tensor) -> Tensor:
    """Convolve features (N, C, H, W) where offsets (N, 18, H, W) point to: (N, C, H, W); see :func:`deformed`."""
    return deformed(features, offset, layer.weight)


def star_offset(distance: Tensor) -> Tensor:
    """Say how far a 3x3 kernel's points must move to lie on the star of a box.

    Args:
        distance: (N, 4, H, W) distances from the cell's centre to left, top, right and bottom, in cells.

    Returns:
        (N, 18, H, W), y and x of each of the nine points, row by row, in cells.
    """
    left, top, right, bottom = distance.unbind(dim=1)  # (N, H, W) each
    nothing = torch.zeros_like(left)
    along_y, along_x = {-1: -top, 0: nothing, 1: bottom}, {-1: -left, 0: nothing, 1: right}
    return torch.stack([move for y, x in _STAR for move in (along_y[y] - y, along_x[x] - x)], dim=1)
