"""The best predictions of each level, where torch's topk reads all of them several times, level by level.

The ``count`` best are of the ``count`` groups of priors whose best prediction is best, and there of the ``count``
priors whose best is best. So all predictions are read once, and a few thousand are left to choose from.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from rdet.models.kernels.keys import NO_KEY, key_of

# Priors of which the best is kept, and the predictions that a program of the first kernel reads.
_GROUP = 16
_BLOCK = 8192
# What a program of the second kernel reads at once.
_CHUNK = 8192
_WARPS = 32
# Digits of a float32 that these have not.
_SHIFTS = {torch.float32: 0, torch.bfloat16: 16, torch.float16: 13}
_LEVELS = 8
_MOST_CLASSES = 2**10
_LENGTHS = tuple(f"length_{level}" for level in range(_LEVELS))


@triton.jit
def _length_of(level, length_0, length_1, length_2, length_3, length_4, length_5, length_6, length_7):
    length = tl.where(level == 0, length_0, tl.where(level == 1, length_1, length_2))
    length = tl.where(level == 3, length_3, tl.where(level == 4, length_4, length))
    length = tl.where(level == 5, length_5, tl.where(level == 6, length_6, length))
    return tl.where(level == 7, length_7, length)


@triton.jit(do_not_specialize=_LENGTHS)
def _maxima(
    rank,
    of_rows,
    of_groups,
    rows,
    groups,
    classes,
    of_image,
    threshold,
    length_0,
    length_1,
    length_2,
    length_3,
    length_4,
    length_5,
    length_6,
    length_7,
    has_threshold: tl.constexpr,
    shift: tl.constexpr,
    levels: tl.constexpr,
    group_size: tl.constexpr,
    block_groups: tl.constexpr,
    block_classes: tl.constexpr,
):
    image = tl.program_id(1).to(tl.int64)
    group = tl.program_id(0) * block_groups + tl.arange(0, block_groups)
    first = tl.zeros([block_groups], dtype=tl.int32)
    end = tl.zeros([block_groups], dtype=tl.int32)
    first_row = 0
    first_group = 0
    for level in tl.static_range(levels):
        length = _length_of(level, length_0, length_1, length_2, length_3, length_4, length_5, length_6, length_7)
        number = tl.cdiv(length, group_size)
        is_here = (group >= first_group) & (group < first_group + number)
        first = tl.where(is_here, first_row + (group - first_group) * group_size, first)
        end = tl.where(is_here, first_row + length, end)
        first_row += length
        first_group += number
    row_of = first[:, None] + tl.arange(0, group_size)[None, :]
    row = tl.reshape(row_of, [block_groups * group_size])
    has_row = tl.reshape(row_of < end[:, None], [block_groups * group_size])
    class_ = tl.arange(0, block_classes)
    place = rank + image * of_image + row[:, None].to(tl.int64) * classes + class_[None, :]
    inside = has_row[:, None] & (class_ < classes)[None, :]
    value = tl.load(place, mask=inside, other=0.0).to(tl.float32)
    key = tl.where(inside, key_of(value, threshold, has_threshold, shift), NO_KEY)
    key = tl.max(key, axis=1)
    tl.store(of_rows + image * rows + row, key, mask=has_row)
    largest = tl.max(tl.reshape(key, [block_groups, group_size]), axis=1)
    tl.store(of_groups + image * groups + group, largest, mask=group < groups)


@triton.jit
def _read(source, parents, number, start, size, length, threshold, has_threshold, shift, padded, has_parents, chunk):
    """Read some of what there is to choose from: keys, places in the level, and where the numbers are."""
    member = start + tl.arange(0, chunk)
    place = member
    inside = member < number * padded
    if has_parents:
        parent = tl.load(parents + member // padded, mask=inside, other=0)
        inside = inside & (member % padded < size)
        place = parent * size + member % padded
    inside = inside & (place < length)
    value = tl.load(source + place, mask=inside, other=0)
    key = value
    if source.dtype.element_ty != tl.int32:
        key = key_of(value.to(tl.float32), threshold, has_threshold, shift)
    return tl.where(inside, key, NO_KEY), place, value


@triton.jit(do_not_specialize=("count", "total", *_LENGTHS))
def _choose(
    source,
    parents,
    of_parents,
    chosen,
    of_chosen,
    values,
    index,
    is_real,
    of_image,
    classes,
    total,
    count,
    threshold,
    length_0,
    length_1,
    length_2,
    length_3,
    length_4,
    length_5,
    length_6,
    length_7,
    has_threshold: tl.constexpr,
    shift: tl.constexpr,
    levels: tl.constexpr,
    group_size: tl.constexpr,
    most: tl.constexpr,
    kind: tl.constexpr,
    padded: tl.constexpr,
    chunk: tl.constexpr,
):
    own = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    length = _length_of(own, length_0, length_1, length_2, length_3, length_4, length_5, length_6, length_7)
    # Of levels before this one.
    first = 0
    first_group = 0
    out = 0
    for level in tl.static_range(levels):
        other = _length_of(level, length_0, length_1, length_2, length_3, length_4, length_5, length_6, length_7)
        other = tl.where(level < own, other, 0)
        first += other
        first_group += tl.cdiv(other, group_size)
        out += tl.minimum(other * classes, count)
    own_list = image * levels + own
    size = group_size
    if kind == 0:
        number = tl.cdiv(length, group_size)
        length = number
        first = first_group
    else:
        number = tl.load(of_parents + own_list)
    if kind == 2:
        size = classes
        length = length * classes
        first = first * classes
    source += image * of_image + first
    parents += own_list * most
    chosen += own_list * most

    # The `count`-th largest key.
    high = NO_KEY
    low = 0x7FFFFFFF
    found = 0
    for start in range(0, number * padded, chunk):
        key, _, _ = _read(
            source, parents, number, start, size, length, threshold, has_threshold, shift, padded, kind > 0, chunk
        )
        found += tl.sum((key > NO_KEY).to(tl.int32), axis=0)
        high = tl.maximum(high, tl.max(key, axis=0))
        low = tl.minimum(low, tl.min(tl.where(key > NO_KEY, key, 0x7FFFFFFF), axis=0))
    above = 0  # keys that are larger
    if found <= count:
        low = NO_KEY + 1
    else:
        while low < high:
            middle = (low | high) - ((low ^ high) >> 1)  # their mean, rounded up
            of_middle = tl.zeros([chunk], dtype=tl.int32)
            for start in range(0, number * padded, chunk):
                key, _, _ = _read(
                    source,
                    parents,
                    number,
                    start,
                    size,
                    length,
                    threshold,
                    has_threshold,
                    shift,
                    padded,
                    kind > 0,
                    chunk,
                )
                of_middle += (key >= middle).to(tl.int32)
            of_middle = tl.sum(of_middle, axis=0)
            if of_middle >= count:
                low = middle
            else:
                high = middle - 1
                above = of_middle

    # All that is above it, and the first of those that equal it.
    held = 0
    tied = 0
    out += image * total
    for start in range(0, number * padded, chunk):
        key, place, value = _read(
            source, parents, number, start, size, length, threshold, has_threshold, shift, padded, kind > 0, chunk
        )
        is_tie = (key == low).to(tl.int32)
        is_chosen = (key > low) | ((key == low) & (above + tied + tl.cumsum(is_tie, axis=0) <= count))
        to = held + tl.cumsum(is_chosen.to(tl.int32), axis=0) - 1
        held += tl.sum(is_chosen.to(tl.int32), axis=0)
        tied += tl.sum(is_tie, axis=0)
        if kind < 2:
            tl.store(chosen + to, place, mask=is_chosen)
        else:
            tl.store(values + out + to, value.to(tl.float32), mask=is_chosen)
            tl.store(index + out + to, place.to(tl.int64) + first, mask=is_chosen)
            tl.store(is_real + out + to, True, mask=is_chosen)
    if kind < 2:
        tl.store(of_chosen + own_list, held)
    else:
        filling = tl.arange(0, most)
        fills = (filling >= held) & (filling < tl.minimum(length, count))
        tl.store(values + out + filling, -float("inf"), mask=fills)
        tl.store(index + out + filling, tl.zeros([most], dtype=tl.int64) + first, mask=fills)
        tl.store(is_real + out + filling, False, mask=fills)


def fits(classes: int, lengths: Sequence[int]) -> bool:
    """Tell whether the kernels can take levels of so many priors."""
    are_few = 0 < len(lengths) <= _LEVELS and 0 < classes <= _MOST_CLASSES
    return are_few and min(lengths) > 0 and sum(lengths) * classes < 2**31


def best_of_levels(
    rank: Tensor, threshold: float | None, count: int, lengths: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the best predictions of each level.

    Args:
        rank: (N, A, K).
        threshold: What is not above it only fills up; None: there is none.
        count: How many of a level at most.
        lengths: Priors of each level, A in all; see :func:`fits`.

    Returns:
        What they are ranked by, float32, their places in A * K, int64, and whether they are above the threshold: each
        (N, C), level by level, those of a level in the order of their places.
    """
    number, rows, classes = rank.shape
    if rank.stride(2) != 1 or rank.stride(1) != classes:
        rank = rank.contiguous()
    groups = [triton.cdiv(length, _GROUP) for length in lengths]
    total = sum(min(length * classes, count) for length in lengths)
    most, padded = triton.next_power_of_2(count), triton.next_power_of_2(classes)
    device = rank.device
    of_rows = torch.empty(number, rows, dtype=torch.int32, device=device)
    of_groups = torch.empty(number, sum(groups), dtype=torch.int32, device=device)
    best_groups, best_rows = torch.empty(2, number, len(lengths), most, dtype=torch.int32, device=device)
    of_best_groups, of_best_rows = torch.empty(2, number, len(lengths), dtype=torch.int32, device=device)
    values = torch.empty(number, total, dtype=torch.float32, device=device)
    index = torch.empty(number, total, dtype=torch.int64, device=device)
    is_real = torch.empty(number, total, dtype=torch.bool, device=device)
    shared = {
        "classes": classes,
        "threshold": 0.0 if threshold is None else float(threshold),
        **dict(zip(_LENGTHS, [*lengths, *[0] * (_LEVELS - len(lengths))], strict=True)),
        "has_threshold": threshold is not None,
        "shift": _SHIFTS[rank.dtype],
        "levels": len(lengths),
        "group_size": _GROUP,
    }
    block_groups = max(1, _BLOCK // (_GROUP * padded))
    _maxima[(triton.cdiv(sum(groups), block_groups), number)](
        rank,
        of_rows,
        of_groups,
        rows,
        sum(groups),
        of_image=rank.stride(0),
        block_groups=block_groups,
        block_classes=padded,
        **shared,
    )
    for kind, (source, of_image, own_size, parents, chosen) in enumerate(
        (
            (of_groups, sum(groups), 1, (best_groups, of_best_groups), (best_groups, of_best_groups)),
            (of_rows, rows, _GROUP, (best_groups, of_best_groups), (best_rows, of_best_rows)),
            (rank, rank.stride(0), padded, (best_rows, of_best_rows), (best_rows, of_best_rows)),
        )
    ):
        _choose[(len(lengths), number)](
            source,
            *parents,
            *chosen,
            values,
            index,
            is_real,
            of_image,
            total=total,
            count=count,
            most=most,
            kind=kind,
            padded=own_size,
            chunk=_CHUNK,
            num_warps=_WARPS,
            **shared,
        )
    return values, index, is_real


def is_right(device: torch.device) -> bool:
    """Tell whether the kernels find on a device what topk does."""
    lengths, classes, count = [290, 10], 20, 150
    rank = torch.randn(1, sum(lengths), classes, generator=torch.Generator().manual_seed(0)).to(device)
    levels = [level.flatten(1) for level in rank.split(lengths, dim=1)]
    expected = torch.cat([level.topk(count, dim=1).values for level in levels], dim=1)
    for threshold in (None, 1.5):
        values, index, is_real = best_of_levels(rank, threshold, count, lengths)
        if threshold is not None:
            expected = expected.where(expected > threshold, -torch.inf)
        in_order = torch.cat([level.sort(dim=1, descending=True).values for level in values.split(count, dim=1)], dim=1)
        same_places = (rank.flatten(1).gather(1, index) == values) | ~is_real
        if not (torch.equal(in_order, expected) and torch.equal(is_real, values > -torch.inf) and same_places.all()):
            return False
    return True
