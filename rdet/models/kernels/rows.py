"""The largest number of each row, for short rows: torch's reduction takes a block of threads for each."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Numbers that a program of the kernel takes.
_BLOCK = 4096


@triton.jit
def _largest(values, largest, rows, length, of_image, block_rows: tl.constexpr, block_length: tl.constexpr):
    row = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    place = tl.arange(0, block_length)
    image = tl.program_id(1).to(tl.int64)
    has_row = row < rows
    inside = has_row[:, None] & (place < length)[None, :]
    start = values + image * of_image
    found = tl.load(start + row[:, None].to(tl.int64) * length + place[None, :], mask=inside, other=-float("inf"))
    is_nan = tl.max((found != found).to(tl.int32), axis=1) > 0  # which no maximum keeps
    found = tl.max(found.to(tl.float32), axis=1)
    tl.store(largest + image * rows + row, tl.where(is_nan, float("nan"), found), mask=has_row)


def largest_of_row(values: Tensor) -> Tensor:
    """Find the largest of each row, NaN where one is: (N, A, K), dense but for its first dimension -> (N, A)."""
    if values.stride(2) != 1 or values.stride(1) != values.shape[2] or not values.numel():
        return values.amax(dim=2)
    number, rows, length = values.shape
    found = torch.empty(number, rows, dtype=values.dtype, device=values.device)
    block_length = triton.next_power_of_2(length)
    block_rows = max(1, _BLOCK // block_length)
    grid = (triton.cdiv(rows, block_rows), number)
    _largest[grid](values, found, rows, length, values.stride(0), block_rows=block_rows, block_length=block_length)
    return found
