"""What a network does to the size of an image, found by running it once without any numbers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

# Height and width of the image. Powers of 2 up to 64 divide both, and no map's width divides the height: so a shape
# says by itself where its height and width stand. Transformers made for images of 224 or 256 alone refuse it.
IMAGE = (320, 960)


def forward_on_meta(network: nn.Module, x: Tensor | None = None) -> Any:
    """Run ``network`` on ``x`` (default: an image of size ``IMAGE``) without data; it is in eval mode afterwards."""
    x = torch.empty(1, 3, *IMAGE, device="meta") if x is None else x
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with torch.no_grad(), _given_back(network):
        return functional_call(network.eval(), {name: value.to("meta") for name, value in state.items()}, (x,))


@contextmanager
def _given_back(network: nn.Module) -> Iterator[None]:
    """Give a network its tensors back: ``functional_call`` leaves the others in layers that have two names."""
    own = [(held, dict(held)) for module in network.modules() for held in (module._parameters, module._buffers)]
    try:
        yield
    finally:
        for held, before in own:
            held.update(before)  # type: ignore[arg-type]  # of the same kind


def unused_parameters(network: nn.Module) -> list[str]:
    """Name the parameters that none of the maps of ``network`` depends on."""
    parameters = {name: p.detach().to("meta").requires_grad_() for name, p in network.named_parameters()}
    buffers = {name: buffer.to("meta") for name, buffer in network.named_buffers()}
    with torch.enable_grad(), _given_back(network):
        maps = functional_call(network.eval(), {**parameters, **buffers}, (torch.empty(1, 3, *IMAGE, device="meta"),))
        sums = [x.sum() for x in maps]
    gradients = torch.autograd.grad(sums, list(parameters.values()), allow_unused=True)
    return [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]


def stride_of(x: Tensor) -> int | None:
    """Read the stride of a map (1, C, H, W) or (1, H, W, C) or of tokens (1, H * W, C); None for everything else."""
    if x.ndim == 4:
        return _stride(x.shape[2:]) or _stride(x.shape[1:3])
    if x.ndim == 3 and x.shape[0] == 1 and x.shape[1]:
        area, rest = divmod(math.prod(IMAGE), x.shape[1])
        return math.isqrt(area) if not rest and math.isqrt(area) ** 2 == area else None
    return None


def is_channels_last(x: Tensor) -> bool:
    """Tell whether a map is (1, H, W, C)."""
    return _stride(x.shape[2:]) is None and _stride(x.shape[1:3]) is not None


def stage_of(stride: int) -> int:
    """Tell the stage of a layer by the stride of its output: 0 (the stem) up to 2, 1 up to 4, 2 up to 8 and so on."""
    return max(0, math.ceil(math.log2(stride)) - 1)


def dry_run(network: nn.Module) -> tuple[list[Tensor], list[list[str]]]:
    """Run ``network`` on an image of the size ``IMAGE``, without data.

    Returns:
        Its maps, and the names of its parts by stage.

        A part is as large as can be: one that at most halves its input belongs to the stage of its
        output; one that reduces it further, or is never called itself, is taken apart. Parts
        follow each other as they run, and none is in an earlier stage than one that ran before it,
        so that what feeds a frozen stage is frozen too. A part of unknown stride runs at that of
        the part before. A parameter that belongs to no part is in the stage of the first part
        beside it. What did not run comes last.
    """
    started: dict[nn.Module, int] = {}
    strides: dict[nn.Module, tuple[int | None, int | None]] = {}  # of input and output

    def enter(module, _):
        started.setdefault(module, len(started))

    def leave(module, inputs, output):
        strides.setdefault(module, (_largest(inputs), _largest(output)))

    handles = []
    for module in network.modules():
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        maps = forward_on_meta(network)
    finally:
        for handle in handles:
            handle.remove()

    def start(module: nn.Module) -> float:
        return min((started[part] for part in module.modules() if part in started), default=math.inf)

    def parts(module: nn.Module, prefix: str = "") -> list[tuple[float, str, int | None]]:
        found = []
        for name, child in module.named_children():
            before, after = strides.get(child, (None, None))
            if not any(True for _ in child.children()) or (before and after and after <= 2 * before):
                found.append((start(child), prefix + name, after))
            else:
                found += parts(child, f"{prefix}{name}.")
        first = min((order for order, _, _ in found), default=start(module))
        return found + [(first, prefix + name, None) for name, _ in module.named_parameters(recurse=False)]

    stages: list[list[str]] = [[]]
    for _, name, stride in sorted(parts(network), key=itemgetter(0)):
        while stride and stage_of(stride) >= len(stages):
            stages.append([])
        stages[-1].append(name)
    return maps, stages


def _stride(size: tuple[int, ...]) -> int | None:
    (height, width), (h, w) = IMAGE, size
    fits = h and w and height % h == 0 and width % w == 0 and height // h == width // w
    return height // h if fits else None


def _largest(tensors: Tensor | tuple | list) -> int | None:
    """Find the largest stride: networks such as HRNet hand on maps of several."""
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    if not isinstance(tensors, list | tuple):
        return None
    tensors = [x for item in tensors for x in (item if isinstance(item, list | tuple) else [item])]
    return max((stride_of(x) or 0 for x in tensors if isinstance(x, Tensor)), default=0) or None
