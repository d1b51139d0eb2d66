"""Whether all numbers of each image are finite, in one pass: torch's reductions to so few numbers are slow."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Numbers that a program of the kernel reads.
_BLOCK = 8192


@triton.jit
def _finite(values, found, size, block: tl.constexpr):
    image = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * block + tl.arange(0, block)
    value = tl.load(values + image * size + place, mask=place < size, other=0.0).to(tl.float32)
    if tl.max((tl.abs(value) < float("inf")).to(tl.int32) ^ 1, axis=0) > 0:  # NaN is less than nothing
        tl.store(found + image, float("nan"))


def zero_or_nan(values: Tensor) -> Tensor:
    """Return 0 for each image whose numbers are all finite, and NaN for others: (N, ...) -> (N,) float32."""
    found = torch.zeros(len(values), device=values.device)
    size = values.shape[1:].numel()
    if values.numel():
        _finite[(triton.cdiv(size, _BLOCK), len(values))](values.contiguous(), found, size, block=_BLOCK)
    return found
