"""The task-aligned head of TOOD."""

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, Scale
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from rdet.models import sampling
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import DEFORMABLE, init_head, per_prior, sizes_of
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural
from rdet.structures import DensePredictions


class TaskDecomposition(nn.Module):
    """Features for one task, from those that both tasks share (TOOD, section 3.1, equations 2 and 3).

    An attention over the S shared layers weighs them before a 1x1 convolution mixes them. It has C / 8 hidden
    channels, as in the authors' code.

    Shapes: shared (N, S * C, H, W), its spatial mean (N, S * C, 1, 1) -> (N, C, H, W).
    """

    def __init__(self, channels: int, layers: int, norm_cfg: dict[str, Any] | None):
        super().__init__()
        hidden = max(channels // 8, 1)
        self.attention = nn.Sequential(
            nn.Conv2d(layers * channels, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, layers, 1),
            nn.Sigmoid(),
        )
        self.mix = ConvModule(layers * channels, channels, 1, norm_cfg=norm_cfg)
        self.channels = channels

    def forward(self, shared: Tensor, pooled: Tensor) -> Tensor:
        attention = self.attention(pooled).flatten(1)  # (N, S)
        attention = attention.repeat_interleave(self.channels, dim=1)  # (N, S * C)
        # Weighing the convolution and not its input saves two tensors as large as all layers together.
        weights = self.mix.conv.weight.flatten(1) * attention[:, None]  # (N, C, S * C)
        mixed = torch.bmm(weights, shared.flatten(2)).unflatten(2, shared.shape[2:])  # (N, C, H, W)
        if self.mix.conv.bias is not None:
            mixed = mixed + self.mix.conv.bias[:, None, None]
        if self.mix.with_norm:
            mixed = self.mix.norm(mixed)
        return F.relu(mixed)


@MODELS.register_module()
class TOODHead(BaseDenseHead):
    """Head of TOOD (Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021, section 3.1).

    Both tasks read the same ``stacked_convs`` layers, each through its own
    :class:`TaskDecomposition`. Two maps learned from all layers then align them: the score becomes
    the geometric mean of the class's score and the cell's, and each side of the box is taken from
    where the cell's offset points to.

    It predicts distances in strides at one prior a cell: use ``DistancePointBBoxCoder``, with
    ``PointGenerator`` or with one square anchor a cell.

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K) and deltas (N, A, 4) with
    A = sum of H_l * W_l.

    Args:
        in_channels: C (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred); must be 1.
        num_levels: L (inferred).
        box_dim: Numbers that encode one box (inferred); must be 4.
        feat_channels: Channels of each layer.
        stacked_convs: Shared layers, S.
        prior_prob: Initial probability of the foreground; see :class:`DenseHead`.
        norm_cfg: Normalisation after each layer; the paper has ``dict(type='GN', num_groups=32)``.
        displace: What is taken from the place that an offset points to: ``'distances'``, with the nearest cell for a
            place outside of the map; or ``'corners'``, as in the authors' code and MMDetection. Corners are counted
            from the centre of the first cell, are 0 outside of the map, and stay if the box would be inverted.
        num_dcn: How many of the first layers are deformable, DCNv2 with four groups of channels.

    Raises:
        ValueError: There is no such ``displace``, or the priors are not one a cell.

    Attributes:
        encoding: The only encoding that it can predict; the detector refuses coders of others.
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
        stacked_convs: Natural = 6,
        prior_prob: Fraction = 0.01,
        norm_cfg: dict[str, Any] | None = None,
        displace: str = "distances",
        num_dcn: Natural = 0,
    ):
        super().__init__()
        if displace not in ("distances", "corners"):
            raise ValueError(f"bbox_head.displace is {displace!r}; valid: 'distances', 'corners'")
        self.displace = displaced if displace == "distances" else displaced_corners
        if num_priors != 1 or box_dim != 4:
            raise ValueError(
                f"TOODHead predicts four distances at one point of a cell, not {box_dim} numbers at {num_priors}; "
                "set model.anchor_generator to PointGenerator and model.bbox_coder to DistancePointBBoxCoder"
            )
        if num_dcn > stacked_convs:
            raise ValueError(f"bbox_head.num_dcn is {num_dcn}, but stacked_convs is {stacked_convs}; lower it")
        self.num_classes = num_classes
        self.shared_convs = nn.ModuleList(
            ConvModule(
                in_channels if i == 0 else feat_channels,
                feat_channels,
                3,
                padding=1,
                conv_cfg=DEFORMABLE | {"deform_groups": 4} if i < num_dcn else None,
                norm_cfg=norm_cfg,
            )
            for i in range(stacked_convs)
        )
        self.cls_decomposition = TaskDecomposition(feat_channels, stacked_convs, norm_cfg)
        self.reg_decomposition = TaskDecomposition(feat_channels, stacked_convs, norm_cfg)
        self.conv_cls = nn.Conv2d(feat_channels, num_classes, 3, padding=1)
        self.conv_reg = nn.Conv2d(feat_channels, 4, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(num_levels))

        def from_all_layers(out_channels: int) -> nn.Sequential:
            hidden = max(feat_channels // 4, 1)
            return nn.Sequential(
                nn.Conv2d(feat_channels * stacked_convs, hidden, 1),
                nn.ReLU(),
                nn.Conv2d(hidden, out_channels, 3, padding=1),
            )

        self.conv_alignment = from_all_layers(1)
        self.conv_offset = from_all_layers(8)
        init_head(self, prior_prob, self.conv_cls, self.conv_alignment[-1])
        nn.init.zeros_(self.conv_offset[-1].get_parameter("weight"))  # each side starts at its own cell

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas = [], []
        for level, x in enumerate(levels):
            layers = []
            for conv in self.shared_convs:
                x = conv(x)
                layers.append(x)
            shared = torch.cat(layers, dim=1)  # (N, S * C, H, W)
            pooled = shared.mean(dim=(2, 3), keepdim=True)
            alignment = self.conv_alignment(shared)  # (N, 1, H, W)
            score = aligned_logit(self.conv_cls(self.cls_decomposition(shared, pooled)), alignment)
            distance = self.distance(self.conv_reg(self.reg_decomposition(shared, pooled)).float(), level)
            logits.append(per_prior(score, self.num_classes))
            deltas.append(per_prior(self.displace(distance, self.conv_offset(shared)), 4))
        return DensePredictions(torch.cat(logits, dim=1), torch.cat(deltas, dim=1), sizes_of(levels))

    def distance(self, x: Tensor, level: int) -> Tensor:
        """Read the box output (N, 4, H, W) of one level as distances to left, top, right and bottom in strides."""
        scaled: Tensor = self.scales[level](x.clamp(max=10).exp())  # an infinite one would spread as NaN
        return scaled


def aligned_logit(first: Tensor, second: Tensor) -> Tensor:
    """Compute the logit of sqrt(sigmoid(first) * sigmoid(second)), elementwise: float32, finite for finite logits."""
    log_p = (F.logsigmoid(first.float()) + F.logsigmoid(second.float())) / 2
    log_p = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)  # p stays below 1
    return log_p - torch.log(-torch.expm1(log_p))


def displaced(distance: Tensor, offset: Tensor) -> Tensor:
    """Take each side of every cell's box from another place of the map (TOOD, equation 5).

    Args:
        distance: (N, 4, H, W) distances to left, top, right and bottom in cells.
        offset: (N, 8, H, W), for each side where to look, x and y in cells.

    Returns:
        (N, 4, H, W) distances from the cell's own centre to these sides.
    """
    number, _, height, width = distance.shape
    offset = offset.float().reshape(number * 4, 2, height, width)
    y, x = torch.meshgrid(
        torch.arange(height, device=offset.device), torch.arange(width, device=offset.device), indexing="ij"
    )
    # A place outside of the map is its nearest cell; the shift below must be the real one.
    x_from = (x + offset[:, 0]).clamp(0, width - 1)  # (4 N, H, W)
    y_from = (y + offset[:, 1]).clamp(0, height - 1)
    maps = distance.reshape(number * 4, 1, height, width)
    if sampling.by_plain_operators(maps):
        sampled = sampling.bilinear(maps, y_from.flatten(1), x_from.flatten(1))
    else:
        grid = torch.stack([2 * x_from / max(width - 1, 1) - 1, 2 * y_from / max(height - 1, 1) - 1], dim=-1)
        sampled = F.grid_sample(maps, grid, align_corners=True)
    sampled = sampled.reshape(number, 4, height, width)
    shift = torch.stack([x_from - x, y_from - y], dim=1).reshape(number, 4, 2, height, width)
    # A side that a cell to the right sees l to its left is l - 1 to the left of this cell.
    along = torch.stack([-shift[:, 0, 0], -shift[:, 1, 1], shift[:, 2, 0], shift[:, 3, 1]], dim=1)
    return sampled + along


def displaced_corners(distance: Tensor, offset: Tensor) -> Tensor:
    """Take each side from another place of the map, by its place in the image; see ``displace`` of :class:`TOODHead`.

    Args:
        distance: (N, 4, H, W) distances to left, top, right and bottom in cells.
        offset: (N, 8, H, W), for each side where to look, x and y in cells.

    Returns:
        (N, 4, H, W) distances from the cell's own centre to these sides.
    """
    height, width = distance.shape[2:]
    x = torch.arange(width, device=distance.device, dtype=distance.dtype)
    y = torch.arange(height, device=distance.device, dtype=distance.dtype)[:, None]
    sign = distance.new_ones(4, 1, 1)
    sign[:2] = -1
    center = torch.stack([x.expand(height, width), y.expand(height, width)] * 2)  # (4, H, W)
    sides = center + sign * distance
    y_x = offset.to(distance.dtype).unflatten(1, (4, 2)).flip(2).flatten(1, 2)  # as the operator wants them
    one = distance.new_ones(4, 1, 1, 1)
    if sampling.by_plain_operators(sides):
        each = sides.flatten(0, 1)[:, None], y_x.unflatten(1, (4, 2)).flatten(0, 1)
        moved = sampling.deformed_convolution(*each, one[:1]).reshape(sides.shape)
    else:
        moved = deform_conv2d(sides, y_x, one)  # bilinear, 0 outside of the map
    inverted = (moved[:, :2] > moved[:, 2:]).any(dim=1, keepdim=True)
    return sign * (torch.where(inverted, sides, moved) - center)
