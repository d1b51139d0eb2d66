"""Other ways to compute what a profile of a training step names: biases, group normalisation, gradients of biases.

Each is timed forward and backward, alone, in bfloat16 and channels last, with the maps of 16 images of 800 x 800. Part
`layers` of gpu.py.
"""

from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from side_by_side import seconds_of
from torch import Tensor

from rdet.models.backbones.folding import conv_norm

IMAGES = 16
# Input and output channels, side of the kernel, side of the map: of a ResNet-50, and of a head's tower.
CONVOLUTIONS = [
    *((64, 256, 1, 200), (256, 64, 1, 200), (512, 128, 1, 100), (256, 1024, 1, 50), (2048, 512, 1, 25)),
    *((64, 64, 3, 200), (128, 128, 3, 100), (256, 256, 3, 50), (256, 256, 3, 100)),
]
LEVELS = (100, 50, 25, 13, 7)
GROUPS, EPS = 32, 1e-5


# ---- a convolution with a bias that is not trained, as that of a folded normalisation, and ReLU


def with_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As rdet does now."""
    return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2).relu_()


def without_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What it would take if the bias were free."""
    return F.conv2d(x, weight, padding=weight.shape[2] // 2).relu_()


def as_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution of one cell as a matrix product, whose kernel adds the bias."""
    rows = F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias)
    return F.relu(rows).permute(0, 3, 1, 2)


class _Product(torch.autograd.Function):
    """The same, and what it returns may be changed in place without a copy."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        maps = x.permute(0, 2, 3, 1)
        y = x.new_empty(len(x), len(weight), *x.shape[2:]).contiguous(memory_format=torch.channels_last)
        rows = y.permute(0, 2, 3, 1).flatten(0, 2)  # a view, as `y` is channels last
        torch.addmm(bias, maps.flatten(0, 2), weight.flatten(1).t(), out=rows)
        ctx.save_for_backward(x, weight)
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        maps = gradient.permute(0, 2, 3, 1)
        rows = maps.flatten(0, 2)
        of_x = (rows @ weight.flatten(1)).unflatten(0, maps.shape[:3]).permute(0, 3, 1, 2)
        of_weight = (rows.t() @ x.permute(0, 2, 3, 1).flatten(0, 2)).view_as(weight)
        return of_x, of_weight, rows.sum(dim=0) if ctx.needs_input_grad[2] else None


def folded_product(conv: torch.nn.Conv2d, norm: torch.nn.Module, x: Tensor) -> Tensor:
    """:func:`rdet.models.backbones.folding.conv_norm`, where a convolution of one cell is a matrix product."""
    if conv.kernel_size != (1, 1) or conv.stride != (1, 1) or conv.groups != 1:
        return conv_norm(conv, norm, x)
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    return _Product.apply(x, (conv.weight * scale[:, None, None, None]).to(x.dtype), shift.to(x.dtype))


class _ProductAndReLU(torch.autograd.Function):
    """The same product, whose kernel also cuts at 0."""

    @staticmethod
    def forward(ctx, rows, weight, bias):
        y = torch._addmm_activation(bias, rows, weight.t())
        ctx.save_for_backward(rows, weight, y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        rows, weight, y = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        return gradient @ weight, gradient.t() @ rows, None


def as_product_with_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    maps = x.permute(0, 2, 3, 1)
    rows = _ProductAndReLU.apply(maps.flatten(0, 2), weight.flatten(1), bias)
    return rows.unflatten(0, maps.shape[:3]).permute(0, 3, 1, 2)


class _Fused(torch.autograd.Function):
    """cuDNN's convolution that adds the bias and cuts at 0 before it writes."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        padding = [weight.shape[2] // 2] * 2
        y = torch.cudnn_convolution_relu(x, weight, bias, [1, 1], padding, [1, 1], 1)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, weight, y = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        padding = [weight.shape[2] // 2] * 2
        options = ([1, 1], padding, [1, 1], False, [0, 0], 1, [True, True, False])
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(gradient, x, weight, None, *options)
        return of_x, of_weight, None


def fused(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _Fused.apply(x, weight, bias)


# ---- group normalisation of maps in bfloat16


def norm_of_autocast(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As autocast has it now: in float32."""
    return F.group_norm(x.float(), GROUPS, weight, bias, EPS)


def norm_in_bfloat16(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.group_norm(x, GROUPS, weight.to(x.dtype), bias.to(x.dtype), EPS)


class _RowNorm(torch.autograd.Function):
    """Group normalisation by sums over the cells of each channel, which leaves maps channels last."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        number, channels, height, width = x.shape
        count = height * width * channels // GROUPS
        total = x.sum((2, 3), dtype=torch.float32).view(number, GROUPS, -1)
        square = torch.linalg.vector_norm(x, dim=(2, 3), dtype=torch.float32).square().view(number, GROUPS, -1)
        mean = total.sum(dim=2, keepdim=True) / count  # (N, G, 1)
        variance = square.sum(dim=2, keepdim=True) / count - mean.square()
        deviation = torch.rsqrt(variance.clamp(min=0) + EPS)
        scale = deviation * weight.view(GROUPS, -1)  # (N, G, C / G)
        shift = bias.view(GROUPS, -1) - mean * scale
        ctx.save_for_backward(x, weight, mean, deviation)
        return torch.addcmul(_of_maps(shift, x), x, _of_maps(scale, x))

    @staticmethod
    def backward(ctx, gradient):
        x, weight, mean, deviation = ctx.saved_tensors
        number, channels, height, width = x.shape
        count = height * width * channels // GROUPS
        sums = gradient.sum((2, 3), dtype=torch.float32).view(number, GROUPS, -1)
        products = (gradient * x).sum((2, 3), dtype=torch.float32).view(number, GROUPS, -1)
        of_weight = ((products - mean * sums) * deviation).sum(dim=0).flatten()
        weights = weight.view(GROUPS, -1)
        product, total = ((values * weights).sum(dim=2, keepdim=True) for values in (products, sums))
        slope = (total * mean - product) * deviation**3 / count
        shift = -slope * mean - total * deviation / count
        scale = deviation * weights
        shape = scale.shape
        of_x = torch.addcmul(_of_maps(shift.expand(shape), x), x, _of_maps(slope.expand(shape), x))
        of_x.addcmul_(gradient, _of_maps(scale, x))
        return of_x, of_weight, sums.sum(dim=0).flatten()


def norm_of_rows(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _RowNorm.apply(x, weight, bias)


def _of_maps(values: Tensor, x: Tensor) -> Tensor:
    return values.flatten(1)[:, :, None, None].to(x.dtype)


def no_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x


# ---- the gradient of a bias


def summed(gradient: Tensor) -> Tensor:
    """As torch's convolution does."""
    return gradient.sum((0, 2, 3))


def summed_by_product(gradient: Tensor) -> Tensor:
    rows = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])
    return (rows.new_ones(1, len(rows)) @ rows)[0]


# ---- their times


def _maps(*shape: int) -> Tensor:
    maps = torch.randn(shape, device="cuda", dtype=torch.bfloat16)
    return maps.contiguous(memory_format=torch.channels_last)


def _milliseconds(call: Callable[[], object]) -> float | str:
    try:
        return 1000 * median(seconds_of(call, 10))
    except RuntimeError as error:
        return str(error)[:200]


def _step(call: Callable[..., Tensor], inputs: list[Tensor], gradient: Tensor) -> Callable[[], object]:
    trained = [value for value in inputs if value.requires_grad]
    return lambda: torch.autograd.grad(call(*inputs), trained, gradient)


def convolutions() -> dict:
    found = {}
    for width, out, kernel, side in CONVOLUTIONS:
        weight = (torch.randn(out, width, kernel, kernel, device="cuda") / width).to(torch.bfloat16)
        weight = weight.contiguous(memory_format=torch.channels_last).requires_grad_()
        bias = torch.randn(out, device="cuda", dtype=torch.bfloat16)
        inputs = [_maps(IMAGES, width, side, side).requires_grad_(), weight, bias]
        ways = [with_bias, without_bias, fused, *([as_product, as_product_with_relu] if kernel == 1 else [])]
        gradient = _maps(IMAGES, out, side, side)
        found[f"{width} to {out}, {kernel} x {kernel}, {side} x {side}"] = {
            way.__name__: _milliseconds(_step(way, inputs, gradient)) for way in ways
        }
    return found


def norms() -> dict:
    """A convolution of a tower, its normalisation and ReLU, on all levels."""
    weight = (torch.randn(256, 256, 3, 3, device="cuda") / 256).to(torch.bfloat16)
    scale, shift = (torch.rand(256, device="cuda").requires_grad_() for _ in range(2))
    found = {}
    for memory_format in (torch.channels_last, torch.contiguous_format):
        kernel = weight.clone(memory_format=memory_format).requires_grad_()
        maps = [_maps(IMAGES, 256, side, side).contiguous(memory_format=memory_format) for side in LEVELS]
        inputs = [x.requires_grad_() for x in maps]
        gradients = [torch.randn_like(x) for x in maps]

        def step(way: Callable[..., Tensor], inputs=inputs, kernel=kernel, gradients=gradients) -> object:
            layers = [F.relu(way(F.conv2d(x, kernel, padding=1), scale, shift)).to(x.dtype) for x in inputs]
            return torch.autograd.grad(layers, [*inputs, kernel, scale, shift], gradients, allow_unused=True)

        for way in (no_norm, norm_of_autocast, norm_in_bfloat16, norm_of_rows):
            name = f"{way.__name__}, {str(memory_format).removeprefix('torch.')}"
            found[name] = _milliseconds(lambda way=way, step=step: step(way))
    return found


def gradients_of_biases() -> dict:
    found = {}
    for channels, side in ((256, 200), (512, 100), (1024, 50)):
        maps = _maps(IMAGES, channels, side, side)
        for way in (summed, summed_by_product):
            found[f"{way.__name__}, {channels}, {side} x {side}"] = _milliseconds(lambda way=way, x=maps: way(x))
    return found


def layers() -> dict:
    return {
        "milliseconds": {"convolutions": convolutions(), "norms": norms(), "gradients of biases": gradients_of_biases()}
    }
