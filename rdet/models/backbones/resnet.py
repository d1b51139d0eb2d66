"""ResNet and ResNeXt as feature extractors."""

from functools import partial

from torch import Tensor, nn
from torchvision.models import resnet as tv

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import conv_norm, fold_norms
from rdet.models.deformable import made_deformable, offset_weights
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count, Natural


class _BasicBlock(tv.BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        y = conv_norm(self.conv1, self.bn1, x, relu=True)
        return conv_norm(self.conv2, self.bn2, y, _shortcut(self, x), relu=True)


class _Bottleneck(tv.Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        y = conv_norm(self.conv1, self.bn1, x, relu=True)
        y = conv_norm(self.conv2, self.bn2, y, relu=True)
        return conv_norm(self.conv3, self.bn3, y, _shortcut(self, x), relu=True)


def _shortcut(block: _BasicBlock | _Bottleneck, x: Tensor) -> Tensor:
    if block.downsample is None:
        return x
    conv, norm = block.downsample
    return conv_norm(conv, norm, x)


def _move_strides(net: nn.Module) -> None:
    """Move the stride of each bottleneck from its 3x3 convolution to the 1x1 before it."""
    for module in net.modules():
        if isinstance(module, _Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride


def _dilate_first_block(stage: nn.Module) -> None:
    """Give a stage's first 3x3 convolution the dilation of its others: the stride that it lacks was before it."""
    first, second = (block for block in list(stage.children())[:2] if isinstance(block, _Bottleneck))
    first.conv2.dilation = first.conv2.padding = second.conv2.dilation


_DEPTHS: dict[int, tuple[type[_BasicBlock] | type[_Bottleneck], list[int]]] = {
    18: (_BasicBlock, [2, 2, 2, 2]),
    34: (_BasicBlock, [3, 4, 6, 3]),
    50: (_Bottleneck, [3, 4, 6, 3]),
    101: (_Bottleneck, [3, 4, 23, 3]),
    152: (_Bottleneck, [3, 8, 36, 3]),
}


@MODELS.register_module()
class ResNet(Backbone):
    """torchvision's ResNet (He et al., CVPR 2016) or ResNeXt (Xie et al., CVPR 2017) without its classifier.

    Names of weights are torchvision's, so its checkpoints load as they are. Batch normalisation in eval
    mode, as ``norm_eval`` has it in training too, is part of the convolutions; see :func:`conv_norm`.

    Shapes: (N, 3, H, W) -> for each of ``out_indices`` (N, C, ceil(H / s), ceil(W / s)) with the
    stride s in 4, 8, 16, 32, but at most ``output_stride``.

    Args:
        depth: 18, 34, 50, 101 or 152.
        groups: Groups of the 3x3 convolutions; ResNeXt-101-32x8d has 32.
        base_width: Channels of one group in the first stage; ResNeXt-101-32x8d has 8.
        out_indices: Stages whose maps are returned, 0 to 3 (C2 to C5).
        style: Where a stage of bottlenecks has its stride: ``'pytorch'`` in its first 3x3 convolution, ``'caffe'`` in
            the 1x1 before it, as in the weights of Detectron2 and of MMDetection's caffe configs. Names and shapes of
            weights are the same for both, so the config must say it.
        output_stride: 32, or 16 or 8: the last stage or two keep the size of their maps, and their 3x3 convolutions
            have holes in place of the stride (Chen et al., "DeepLab", TPAMI 2018, section 3.1). Only of bottlenecks.
        dilate_first: Give the first 3x3 convolution of such a stage holes too, as MMDetection's ``dilations`` do. It
            is what stood before the stride, so that holes there change what pretrained weights compute; in the style
            ``'caffe'`` it has stood behind it and has them anyway.
        dcn_stages: Stages, counted as ``out_indices``, whose 3x3 convolutions are deformable: (1, 2, 3) are
            C3 to C5. Only of bottlenecks.
        dcn_groups: Groups of channels with offsets of their own.
        dcn_modulated: DCNv2, or the first version; see :class:`~rdet.models.deformable.DeformableConv2d`.
        norm_cfg: Normalisation, as mmcv's ``build_norm_layer`` takes it, for example
            ``dict(type='GN', num_groups=32)`` or ``dict(type='BN', requires_grad=False)``.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images; the first convolution is adapted, that of pretrained weights too
            (:func:`~rdet.models.backbones.base.adapted`).
    """

    def __init__(
        self,
        depth: int,
        groups: Count = 1,
        base_width: Count = 64,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        style: str = "pytorch",
        output_stride: Count = 32,
        dilate_first: bool = False,
        dcn_stages: tuple[Natural, ...] = (),
        dcn_groups: Count = 1,
        dcn_modulated: bool = True,
        norm_cfg: dict | None = None,
        frozen_stages: Natural = 1,
        norm_eval: bool = True,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        if depth not in _DEPTHS:
            raise ValueError(f"ResNet has no depth {depth}; valid: {', '.join(map(str, _DEPTHS))}")
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(f"out_indices is {tuple(out_indices)}, but ResNet has the stages 0 to 3; give some")
        if style not in ("pytorch", "caffe"):
            raise ValueError(f"style is {style!r}; valid: 'pytorch', 'caffe'")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride is {output_stride}; valid: 8, 16, 32")
        block, layers = _DEPTHS[depth]
        if output_stride < 32 and block is _BasicBlock:
            raise ValueError(f"output_stride is {output_stride}, but ResNet-{depth} has no bottlenecks; use 32")
        if dcn_stages and block is _BasicBlock:
            raise ValueError(f"dcn_stages is {tuple(dcn_stages)}, but ResNet-{depth} has no bottlenecks; use ()")
        if (groups, base_width) != (1, 64) and block is _BasicBlock:
            raise ValueError(
                f"groups is {groups} and base_width {base_width}, but ResNet-{depth} has no bottlenecks; use 1 and 64"
            )
        if not set(dcn_stages) <= set(range(max(out_indices) + 1)):
            raise ValueError(
                f"dcn_stages is {tuple(dcn_stages)}, but there are stages 0 to {max(out_indices)}; give some"
            )
        dilated = [False, output_stride < 16, output_stride < 32]
        norm_layer = partial(build_norm, norm_cfg or {"type": "BN"})
        net = tv.ResNet(
            block,
            layers,
            groups=groups,
            width_per_group=base_width,
            replace_stride_with_dilation=dilated,
            norm_layer=norm_layer,
        )
        self.conv1, self.bn1, self.maxpool = net.conv1, net.bn1, net.maxpool
        for index in range(max(out_indices) + 1):
            self.add_module(f"layer{index + 1}", getattr(net, f"layer{index + 1}"))
        if style == "caffe":
            _move_strides(self)
        if style == "caffe" or dilate_first:
            for index in range(2, max(out_indices) + 1):
                if dilated[index - 1]:
                    _dilate_first_block(getattr(self, f"layer{index + 1}"))
        for index in dcn_stages:
            for bottleneck in getattr(self, f"layer{index + 1}"):
                bottleneck.conv2 = made_deformable(bottleneck.conv2, dcn_groups, dcn_modulated)
        self.out_indices = tuple(out_indices)
        self.out_channels = [64 * 2**i * block.expansion for i in out_indices]
        self.strides = [min(4 * 2**i, output_stride) for i in out_indices]
        self.left_out = frozenset(net.state_dict()) - set(self.state_dict())
        self.added = offset_weights(self)
        self.take_channels(in_channels)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        layers = [getattr(self, f"layer{index + 1}") for index in range(max(self.out_indices) + 1)]
        return [[self.conv1, self.bn1], *([layer] for layer in layers)]

    def fold_norms(self) -> None:
        """Make batch normalisation part of the convolutions for good, for inference."""
        fold_norms(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(conv_norm(self.conv1, self.bn1, x, relu=True))
        maps = []
        for index, (layer,) in enumerate(self.stages()[1:]):
            x = layer(x)
            if index in self.out_indices:
                maps.append(x)
        return maps
