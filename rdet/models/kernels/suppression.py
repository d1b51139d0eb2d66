"""Non-maximum suppression of images at once in two kernels, which the host need not ask whether all is decided."""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torchvision.ops import batched_nms

from rdet.models.kernels.keys import NO_KEY, key_of

# Boxes that a program of the first kernel places, and those that it compares them with at once.
_PLACED = 64
_COMPARED = 128
# Boxes that the second kernel decides at once, and kept ones that it compares them with at once.
_DECIDED = 64
_KEPT = 64
_WARPS = 8
# More boxes than this are sorted by torch, as the first kernel compares all with all.
_MOST = 2**14


@triton.jit
def _keys(scores, is_real, place, size):
    inside = place < size
    real = tl.load(is_real + place, mask=inside, other=0).to(tl.int1)
    score = tl.load(scores + place, mask=inside, other=0.0).to(tl.float32)
    key = key_of(score, 0.0, False, 0)
    return tl.where(inside & real, key, NO_KEY)


@triton.jit(do_not_specialize=("size",))
def _by_score(
    boxes,
    scores,
    labels,
    is_real,
    sorted_boxes,
    sorted_scores,
    sorted_labels,
    size,
    block: tl.constexpr,
    others: tl.constexpr,
):
    first = tl.program_id(1).to(tl.int64) * size
    own = tl.program_id(0) * block + tl.arange(0, block)
    inside = own < size
    key = _keys(scores + first, is_real + first, own, size)
    rank = tl.zeros([block], dtype=tl.int32)
    for start in range(0, size, others):
        other = start + tl.arange(0, others)
        key_2 = _keys(scores + first, is_real + first, other, size)
        is_tie = (key_2[None, :] == key[:, None]) & (other[None, :] < own[:, None])
        before = ((key_2[None, :] > key[:, None]) | is_tie) & (other < size)[None, :]
        rank += tl.sum(before.to(tl.int32), axis=1)
    score = tl.load(scores + first + own, mask=inside, other=0.0)
    tl.store(sorted_scores + first + rank, tl.where(key > NO_KEY, score, -1.0), mask=inside)
    tl.store(sorted_labels + first + rank, tl.load(labels + first + own, mask=inside, other=0), mask=inside)
    corner = tl.arange(0, 4)[None, :]
    box = tl.load(boxes + (first + own)[:, None] * 4 + corner, mask=inside[:, None], other=0.0)
    tl.store(sorted_boxes + (first + rank)[:, None] * 4 + corner, box, mask=inside[:, None])


@triton.jit
def _drops(boxes, labels, first, has_first, boxes_2, labels_2, second, has_second, iou_threshold, agnostic):
    """Tell which of some boxes, if it stays, drops which of others: (B, C)."""
    left = tl.load(boxes + first * 4, mask=has_first, other=0.0)[:, None]
    top = tl.load(boxes + first * 4 + 1, mask=has_first, other=0.0)[:, None]
    right = tl.load(boxes + first * 4 + 2, mask=has_first, other=0.0)[:, None]
    bottom = tl.load(boxes + first * 4 + 3, mask=has_first, other=0.0)[:, None]
    left_2 = tl.load(boxes_2 + second * 4, mask=has_second, other=0.0)[None, :]
    top_2 = tl.load(boxes_2 + second * 4 + 1, mask=has_second, other=0.0)[None, :]
    right_2 = tl.load(boxes_2 + second * 4 + 2, mask=has_second, other=0.0)[None, :]
    bottom_2 = tl.load(boxes_2 + second * 4 + 3, mask=has_second, other=0.0)[None, :]
    width = tl.minimum(right, right_2) - tl.maximum(left, left_2)
    height = tl.minimum(bottom, bottom_2) - tl.maximum(top, top_2)
    common = tl.where(width > 0, width, 0.0) * tl.where(height > 0, height, 0.0)
    areas = (right - left) * (bottom - top) + (right_2 - left_2) * (bottom_2 - top_2)
    drops = tl.div_rn(common, areas - common) > iou_threshold
    if not agnostic:
        label = tl.load(labels + first, mask=has_first, other=0)
        drops = drops & (label[:, None] == tl.load(labels_2 + second, mask=has_second, other=0)[None, :])
    return drops & has_first[:, None] & has_second[None, :]


@triton.jit(do_not_specialize=("size", "most"))
def _suppress(
    boxes,
    scores,
    labels,
    kept_boxes,
    kept_scores,
    kept_labels,
    number,
    size,
    most,
    iou_threshold,
    agnostic: tl.constexpr,
    block: tl.constexpr,
    others: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    boxes += image * size * 4
    scores += image * size
    labels += image * size
    kept_boxes += image * most * 4
    kept_scores += image * most
    kept_labels += image * most
    member = tl.arange(0, block)
    start = 0
    held = 0
    while (start < size) & (held < most):
        own = start + member
        score = tl.load(scores + own, mask=own < size, other=-1.0)
        is_open = (own < size) & ((score >= 0) | (score != score))
        is_last = tl.min(is_open.to(tl.int32), axis=0) == 0  # what is not real comes last
        for start_2 in range(0, held, others):
            kept = start_2 + tl.arange(0, others)
            by_kept = _drops(
                kept_boxes, kept_labels, kept, kept < held, boxes, labels, own, is_open, iou_threshold, agnostic
            )
            is_open = is_open & (tl.max(by_kept.to(tl.int32), axis=0) == 0)
        drops = _drops(boxes, labels, own, is_open, boxes, labels, own, is_open, iou_threshold, agnostic)
        drops_later = (drops & (member[:, None] < member[None, :])).to(tl.int32)
        # What drops a box must itself stay: the first boxes are decided at once, those that they drop next, and so on.
        stays = is_open.to(tl.int32)
        differ = 1
        while differ > 0:
            dropped = tl.max(drops_later * stays[:, None], axis=0)
            now = is_open.to(tl.int32) * (1 - dropped)
            differ = tl.max(tl.where(now != stays, 1, 0), axis=0)
            stays = now
        to = held + tl.cumsum(stays, axis=0) - 1
        is_kept = (stays > 0) & (to < most)
        tl.store(kept_scores + to, score, mask=is_kept)
        tl.store(kept_labels + to, tl.load(labels + own, mask=is_kept, other=0), mask=is_kept)
        corner = tl.arange(0, 4)[None, :]
        box = tl.load(boxes + own[:, None] * 4 + corner, mask=is_kept[:, None], other=0.0)
        tl.store(kept_boxes + to[:, None] * 4 + corner, box, mask=is_kept[:, None])
        tl.debug_barrier()  # other threads of the program read them
        held += tl.sum(stays, axis=0)
        start = tl.where(is_last, size, start + block)
    held = tl.minimum(held, most)
    tl.store(number + image, held)
    # A recording is compared with another run, in all that it gives.
    for start in range(held, most, block):
        to = start + member
        tl.store(kept_scores + to, tl.zeros([block], dtype=tl.float32), mask=to < most)
        tl.store(kept_labels + to, tl.zeros([block], dtype=tl.int64), mask=to < most)
        place = to[:, None] * 4 + tl.arange(0, 4)[None, :]
        tl.store(kept_boxes + place, tl.zeros([block, 4], dtype=tl.float32), mask=(to < most)[:, None])


def suppressed(
    boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor, most: int, iou_threshold: float, agnostic: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keep the boxes that no better one that is kept overlaps, of each image at most ``most``, best first.

    Args:
        boxes: (N, C, 4) xyxy float32, C not 0.
        scores: (N, C) float32, 0 or more. Of equal ones the first is better.
        labels: (N, C) int64.
        is_real: (N, C) bool; other boxes neither drop nor stay.
        most: M, or C if that is less.
        iou_threshold: IoU above which the better box drops the other.
        agnostic: Whether boxes of different labels compete too.

    Returns:
        Boxes (N, M, 4), scores (N, M) and labels (N, M), and how many they are, (N,) int64; after them come zeros.
    """
    number, size = scores.shape
    most = min(most, size)
    boxes, scores, labels, is_real = (part.contiguous() for part in (boxes, scores, labels, is_real))
    if size > _MOST:
        scores, order = scores.masked_fill(~is_real, -1).sort(dim=1, descending=True, stable=True)
        image = torch.arange(number, device=boxes.device)[:, None]
        by_score = boxes[image, order], scores, labels[image, order]
    else:
        by_score = torch.empty_like(boxes), torch.empty_like(scores), torch.empty_like(labels)
        _by_score[(triton.cdiv(size, _PLACED), number)](
            boxes, scores, labels, is_real, *by_score, size, block=_PLACED, others=_COMPARED
        )
    kept = boxes.new_empty(number, most, 4), scores.new_empty(number, most), labels.new_empty(number, most)
    held = torch.empty(number, dtype=torch.int64, device=boxes.device)
    _suppress[(number,)](
        *by_score, *kept, held, size, most, float(iou_threshold), agnostic, _DECIDED, _KEPT, num_warps=_WARPS
    )
    return *kept, held


def is_right(device: torch.device) -> bool:
    """Tell whether the kernels keep on a device what torchvision's suppression does."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(40, (1, 700, 2), generator=generator).float()
    boxes = torch.cat([corner, corner + torch.randint(1, 30, (1, 700, 2), generator=generator)], dim=2).to(device)
    scores = torch.rand(1, 700, generator=generator).to(device)
    labels, is_real = torch.arange(700, device=device)[None] % 3, scores > 0.1
    *kept, number = suppressed(boxes, scores, labels, is_real, 300, 0.43, False)
    real = is_real[0].nonzero()[:, 0]
    expected = real[batched_nms(boxes[0, real], scores[0, real], labels[0, real], 0.43)][:300]
    wanted = boxes[0, expected], scores[0, expected], labels[0, expected]
    return len(expected) == number and all(
        torch.equal(one[0, : len(expected)], other) for one, other in zip(kept, wanted, strict=True)
    )
