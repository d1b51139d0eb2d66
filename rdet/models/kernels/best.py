"""The best predictions of each level, where torch's topk reads all of them several times, level by level.

The ``count`` best are of the ``count`` groups of priors whose best prediction is best, and there of the ``count``
priors whose best is best. So all predictions are read once, and a few thousand are left to choose from.
"""

from collections.abc import Sequence
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from rdet.models.kernels.keys import NO_KEY, key_of

# Priors of which the best is kept, and the predictions that a program of the first kernel reads.
_GROUP = 16
_BLOCK = 8192
_MOST_GROUPS = 128
# What a program that chooses reads at once.
_CHUNK = 8192
_WARPS = 32
# Predictions of a chosen prior that are set apart; where one has more that may be chosen, all of its level are read.
_FEW = 8
# What is chosen from: groups, priors of chosen groups, what is set apart of chosen priors, all predictions of these.
_GROUPS, _PRIORS, _SET_APART, _PREDICTIONS = (tl.constexpr(kind) for kind in range(4))
# Digits of a float32 that these have not.
_SHIFTS = {torch.float32: 0, torch.bfloat16: 16, torch.float16: 13}
_LEVELS = 8
_MOST_CLASSES = 2**10
_MOST_READ = 2**18


@triton.jit(do_not_specialize=("rows", "groups"))
def _maxima(
    rank,
    of_rows,
    of_groups,
    rows,
    groups,
    classes,
    of_image,
    threshold,
    lengths,
    has_threshold: tl.constexpr,
    shift: tl.constexpr,
    levels: tl.constexpr,
    group_size: tl.constexpr,
    block_groups: tl.constexpr,
    block_classes: tl.constexpr,
):
    """Find the largest key of each prior and of each group of priors."""
    image = tl.program_id(1).to(tl.int64)
    group = tl.program_id(0) * block_groups + tl.arange(0, block_groups)
    first = tl.zeros([block_groups], dtype=tl.int32)
    end = tl.zeros([block_groups], dtype=tl.int32)
    first_row = 0
    first_group = 0
    for level in tl.static_range(levels):
        length = tl.load(lengths + level)
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
def _set_apart(
    rank,
    best_rows,
    of_best_rows,
    least,
    keys,
    places,
    has_more,
    of_image,
    classes,
    threshold,
    lengths,
    has_threshold: tl.constexpr,
    shift: tl.constexpr,
    levels: tl.constexpr,
    most: tl.constexpr,
    few: tl.constexpr,
    block_rows: tl.constexpr,
    block_classes: tl.constexpr,
):
    """Set the first few predictions of each chosen prior apart that are no less than the last chosen prior's best."""
    own = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    first = 0
    for level in tl.static_range(levels):
        length = tl.load(lengths + level)
        first += tl.where(level < own, length, 0)
    level_of_image = image * levels + own
    number = tl.load(of_best_rows + level_of_image)
    chosen = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    row = tl.load(best_rows + level_of_image * most + chosen, mask=chosen < number, other=0)
    class_ = tl.arange(0, block_classes)
    inside = (chosen < number)[:, None] & (class_ < classes)[None, :]
    place = row[:, None] * classes + class_[None, :]
    start = rank + image * of_image + tl.cast(first, tl.int64) * classes
    value = tl.load(start + place, mask=inside, other=0.0).to(tl.float32)
    key = tl.where(inside, key_of(value, threshold, has_threshold, shift), NO_KEY)
    may_be_chosen = (key >= tl.load(least + level_of_image)).to(tl.int32)
    to = tl.cumsum(may_be_chosen, axis=1) - 1
    found = tl.sum(may_be_chosen, axis=1)
    is_set_apart = (may_be_chosen > 0) & (to < few)
    keys += level_of_image * most * few
    places += level_of_image * most * few
    tl.store(keys + chosen[:, None] * few + to, key, mask=is_set_apart)
    tl.store(places + chosen[:, None] * few + to, place, mask=is_set_apart)
    nothing = tl.arange(0, few)[None, :]
    is_empty = (chosen < number)[:, None] & (nothing >= found[:, None])
    tl.store(keys + chosen[:, None] * few + nothing, NO_KEY, mask=is_empty)
    if tl.max(found, axis=0) > few:
        tl.store(has_more + level_of_image, 1)


@triton.jit
def _read(source, list_, number, start, size, length, threshold, has_threshold, shift, kind, padded, chunk):
    """Read a chunk of what there is to choose from: keys, and places in the level."""
    member = start + tl.arange(0, chunk)
    place = member
    inside = member < number * padded
    if kind == _SET_APART:
        place = tl.load(list_ + member, mask=inside, other=0)
        key = tl.load(source + member, mask=inside, other=NO_KEY)
    else:
        if kind != _GROUPS:
            parent = tl.load(list_ + member // padded, mask=inside, other=0)
            inside = inside & (member % padded < size)
            place = parent * size + member % padded
            inside = inside & (place < length)
        value = tl.load(source + place, mask=inside, other=0)
        key = value
        if kind == _PREDICTIONS:
            key = key_of(value.to(tl.float32), threshold, has_threshold, shift)
        key = tl.where(inside, key, NO_KEY)
    return key, place


@triton.jit(do_not_specialize=("of_image", "total", "count"))
def _choose(
    source,
    list_,
    of_list,
    chosen,
    of_chosen,
    least,
    has_more,
    rank,
    values,
    index,
    is_real,
    of_image,
    of_image_of_rank,
    classes,
    total,
    count,
    threshold,
    lengths,
    has_threshold: tl.constexpr,
    shift: tl.constexpr,
    levels: tl.constexpr,
    group_size: tl.constexpr,
    most: tl.constexpr,
    kind: tl.constexpr,
    padded: tl.constexpr,
    chunk: tl.constexpr,
):
    """Choose the ``count`` largest of a level in an image, in the order of their places."""
    own = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    length = tl.load(lengths + own)
    # What levels before this one have.
    rows = 0
    groups = 0
    out = 0
    for level in tl.static_range(levels):
        other = tl.load(lengths + level)
        other = tl.where(level < own, other, 0)
        rows += other
        groups += tl.cdiv(other, group_size)
        out += tl.minimum(other * classes, count)
    level_of_image = image * levels + own
    first = tl.cast(rows, tl.int64) * classes
    taken = tl.minimum(length * classes, count)
    size = group_size
    is_asked = own >= 0
    if kind == _GROUPS:
        number = tl.cdiv(length, group_size)
        source += image * of_image + groups
    else:
        number = tl.load(of_list + level_of_image)
    if kind == _PRIORS:
        source += image * of_image + rows
        list_ += level_of_image * most
    if kind == _SET_APART:
        is_asked = tl.load(has_more + level_of_image) == 0
        source += level_of_image * most * padded
        list_ += level_of_image * most * padded
    if kind == _PREDICTIONS:
        is_asked = tl.load(has_more + level_of_image) != 0
        source += image * of_image + first
        list_ += level_of_image * most
        size = classes
        length = length * classes
    number = tl.where(is_asked, number, 0)

    high = NO_KEY
    low = 0x7FFFFFFF
    found = 0
    for start in range(0, number * padded, chunk):
        key, _ = _read(source, list_, number, start, size, length, threshold, has_threshold, shift, kind, padded, chunk)
        found += tl.sum((key > NO_KEY).to(tl.int32), axis=0)
        high = tl.maximum(high, tl.max(key, axis=0))
        low = tl.minimum(low, tl.min(tl.where(key > NO_KEY, key, 0x7FFFFFFF), axis=0))
    above = 0
    if found <= count:
        low = NO_KEY + 1
    else:
        # At least `count` keys are `low` or more; fewer, `above`, are more than `high`.
        while low < high:
            middle = (low | high) - ((low ^ high) >> 1)  # their mean, rounded up
            of_middle = tl.zeros([chunk], dtype=tl.int32)
            for start in range(0, number * padded, chunk):
                key, _ = _read(
                    source, list_, number, start, size, length, threshold, has_threshold, shift, kind, padded, chunk
                )
                of_middle += (key >= middle).to(tl.int32)
            are_middle_or_more = tl.sum(of_middle, axis=0)
            if are_middle_or_more >= count:
                low = middle
            else:
                high = middle - 1
                above = are_middle_or_more

    # All that is above `low`, and the first of those that equal it.
    held = 0
    tied = 0
    out += image * total
    start_of_rank = rank + image * of_image_of_rank + first
    for start in range(0, number * padded, chunk):
        key, place = _read(
            source, list_, number, start, size, length, threshold, has_threshold, shift, kind, padded, chunk
        )
        is_tie = (key == low).to(tl.int32)
        is_above = (key > low).to(tl.int32)
        both = tl.cumsum((is_above << 16) | is_tie, axis=0)  # two sums in one; a chunk has fewer than 2 ** 15
        ties = tl.minimum(both & 0xFFFF, count - above - tied)
        is_chosen = (is_above > 0) | ((is_tie > 0) & ((both & 0xFFFF) <= count - above - tied))
        to = held + (both >> 16) + ties - 1
        if kind <= _PRIORS:
            tl.store(chosen + level_of_image * most + to, place, mask=is_chosen)
        else:
            value = tl.load(start_of_rank + place, mask=is_chosen, other=0.0)
            tl.store(values + out + to, value.to(tl.float32), mask=is_chosen)
            tl.store(index + out + to, place.to(tl.int64) + first, mask=is_chosen)
            tl.store(is_real + out + to, True, mask=is_chosen)
        of_chunk = tl.minimum(tl.sum(is_tie, axis=0), count - above - tied)
        held += tl.sum(is_above, axis=0) + of_chunk
        tied += of_chunk
    if kind <= _PRIORS:
        tl.store(of_chosen + level_of_image, held)
        tl.store(least + level_of_image, low)
        tl.store(has_more + level_of_image, 0)
    else:
        filling = tl.arange(0, most)
        fills = is_asked & (filling >= held) & (filling < taken)
        tl.store(values + out + filling, threshold, mask=fills)
        tl.store(index + out + filling, tl.zeros([most], dtype=tl.int64) + first, mask=fills)
        tl.store(is_real + out + filling, False, mask=fills)


def fits(classes: int, lengths: Sequence[int], count: int) -> bool:
    """Tell whether the kernels can take levels of so many priors, and choose so many predictions of each, fast."""
    are_few = 0 < len(lengths) <= _LEVELS and 0 < classes <= _MOST_CLASSES
    if not are_few or min(lengths) <= 0 or sum(lengths) * classes >= 2**31:
        return False
    read: int = min(count, max(lengths)) * triton.next_power_of_2(classes)
    return read <= _MOST_READ


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
        (N, C), level by level, those of a level in the order of their places. What fills up has the threshold's value.
    """
    if rank.dtype not in _SHIFTS:
        rank = rank.float()
    number, rows, classes = rank.shape
    if rank.stride(2) != 1 or rank.stride(1) != classes:
        rank = rank.contiguous()
    count = min(count, max(lengths) * classes)
    groups = sum(triton.cdiv(length, _GROUP) for length in lengths)
    total = sum(min(length * classes, count) for length in lengths)
    most, padded = triton.next_power_of_2(count), triton.next_power_of_2(classes)

    def empty(*size: int, dtype: torch.dtype = torch.int32) -> Tensor:
        return torch.empty(number, *size, dtype=dtype, device=rank.device)

    of_rows, of_groups, best_groups, best_rows = empty(rows), empty(groups), empty(_LEVELS, most), empty(_LEVELS, most)
    of_best_groups, of_best_rows, least, has_more = (empty(_LEVELS) for _ in range(4))
    keys, places = empty(_LEVELS, most, _FEW), empty(_LEVELS, most, _FEW)
    values, index, is_real = (empty(total, dtype=dtype) for dtype in (torch.float32, torch.int64, torch.bool))
    of_level = {
        "classes": classes,
        "threshold": 0.0 if threshold is None else float(threshold),
        "lengths": _on_device((*lengths, *[0] * (_LEVELS - len(lengths))), rank.device),
        "has_threshold": threshold is not None,
        "shift": _SHIFTS[rank.dtype],
        "levels": _LEVELS,  # of any number of levels the kernels are the same
    }
    block_groups = min(_MOST_GROUPS, max(1, _BLOCK // (_GROUP * padded)))
    _maxima[(triton.cdiv(groups, block_groups), number)](
        rank,
        of_rows,
        of_groups,
        rows,
        groups,
        of_image=rank.stride(0),
        group_size=_GROUP,
        block_groups=block_groups,
        block_classes=padded,
        **of_level,
    )

    def choose(kind: tl.constexpr, source: Tensor, list_: Tensor, of_list: Tensor, padded: int) -> None:
        is_of_groups = kind.value == _GROUPS.value
        _choose[(len(lengths), number)](
            source,
            list_,
            of_list,
            best_groups if is_of_groups else best_rows,
            of_best_groups if is_of_groups else of_best_rows,
            least,
            has_more,
            rank,
            values,
            index,
            is_real,
            of_image=source.stride(0),
            of_image_of_rank=rank.stride(0),
            total=total,
            count=count,
            group_size=_GROUP,
            most=most,
            kind=kind.value,
            padded=padded,
            chunk=_CHUNK,
            num_warps=_WARPS,
            **of_level,
        )

    choose(_GROUPS, of_groups, best_groups, of_best_groups, 1)
    choose(_PRIORS, of_rows, best_groups, of_best_groups, _GROUP)
    block_rows = max(1, min(_MOST_GROUPS, _BLOCK // (2 * padded)))
    _set_apart[(triton.cdiv(min(count, max(lengths)), block_rows), len(lengths), number)](
        rank,
        best_rows,
        of_best_rows,
        least,
        keys,
        places,
        has_more,
        of_image=rank.stride(0),
        most=most,
        few=_FEW,
        block_rows=block_rows,
        block_classes=padded,
        **of_level,
    )
    choose(_SET_APART, keys, places, of_best_rows, _FEW)
    choose(_PREDICTIONS, rank, best_rows, of_best_rows, padded)
    return values, index, is_real


@cache
def _on_device(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Keep a few numbers on a device, for good: recordings read them where they lie."""
    return torch.tensor(lengths, dtype=torch.int32).to(device, non_blocking=True)


def is_right(device: torch.device) -> bool:
    """Tell whether the kernels find on a device what topk does."""
    lengths, classes, count = [600, 10], 20, 150
    rank = torch.randn(2, sum(lengths), classes, generator=torch.Generator().manual_seed(0)).to(device, torch.bfloat16)
    rank[1, 3] = 4.0 + torch.arange(classes, device=device) / 8  # of one prior more than are set apart
    levels = [level.float().flatten(1) for level in rank.split(lengths, dim=1)]
    expected = torch.cat([level.topk(count, dim=1).values for level in levels], dim=1)
    for threshold in (None, 1.5):
        values, index, is_real = best_of_levels(rank, threshold, count, lengths)
        if threshold is not None:
            expected = expected.clamp(min=threshold)
        in_order = torch.cat([level.sort(dim=1, descending=True).values for level in values.split(count, dim=1)], dim=1)
        is_above = values > (-torch.inf if threshold is None else threshold)
        same_places = (rank.flatten(1).gather(1, index) == values) | ~is_real
        if not (torch.equal(in_order, expected) and torch.equal(is_real, is_above) and same_places.all()):
            return False
    return True
