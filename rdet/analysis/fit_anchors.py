"""Fitting the sizes of anchors to the boxes of a training set.

B boxes, L levels, P anchors at each cell of a level.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rdet.engine.sampling import Draw, SeededDataset, mix_seed
from rdet.errors import ConfigError, DatasetError
from rdet.files import write_text
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator

Sizes = list[list[tuple[float, float]]]  # (width, height) of P anchors on each of L levels


class Coverage(NamedTuple):
    """How well anchors cover boxes.

    Attributes:
        recall: Best possible recall: share of the boxes that some anchor overlaps by the asked IoU.
        mean_iou: Mean over the boxes of the IoU with their best anchor.
    """

    recall: float
    mean_iou: float

    def __str__(self) -> str:
        return f"best possible recall {self.recall:.4f}, mean best IoU {self.mean_iou:.4f}"


def check_anchors(model, config: str) -> None:
    """Raise ConfigError if other parts of a detector read the strides from the sizes of its priors."""
    generator, coder = model.anchor_generator, model.bbox_coder
    if not isinstance(generator, AnchorGenerator | FittedAnchorGenerator) or coder.encoding not in ("deltas", "cells"):
        raise ConfigError(
            f"{config}: the sizes of priors are not free with {type(generator).__name__} and {type(coder).__name__}, "
            "which stand for strides; take a config with anchors, such as a RetinaNet's"
        )


def training_boxes(dataset, max_images: int = 2000, seed: int = 0) -> Tensor:
    """Collect the boxes as a detector would be trained on them: after the data set's own pipeline.

    Args:
        dataset: Its items hold ``data_samples`` with ``gt_instances``. Images are read, since only
            the pipeline knows what it does to the boxes.
        max_images: At most so many items, drawn at random.
        seed: Of the draw and of the pipeline.

    Returns:
        (B, 4) xyxy in pixels of the network's input.

    Raises:
        DatasetError: There are no boxes.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:max_images]).tolist()
    seeded = SeededDataset(dataset)  # as at the start of training
    items = (seeded[Draw(index, mix_seed(seed, index), iteration=0, epoch=0)] for index in chosen)
    boxes = torch.cat([item["data_samples"].gt_instances.bboxes for item in items])
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]
    if not len(boxes):
        raise DatasetError(f"{len(chosen)} images have no boxes to fit anchors to; does train_dataloader keep any?")
    return boxes


def fit_anchors(
    boxes: Tensor,
    strides: Sequence[int],
    center_offset: float,
    num_anchors: int,
    method: str = "genetic",
    seed: int = 0,
    generations: int = 1000,
) -> Sizes:
    """Find the sizes of ``num_anchors`` anchors for every level.

    K-means over all levels together; the smallest P clusters go to the first level, and so on.
    ``method='genetic'`` goes on from there, see :func:`evolve`.

    Args:
        boxes: (B, 4) xyxy in pixels.
        strides: Stride of each of L levels.
        center_offset: Of the anchors, in strides; the genetic method asks where they stand.
        num_anchors: P.
        method: ``'kmeans'`` or ``'genetic'``.
        seed: The same seed gives the same sizes.
        generations: Mutations that the genetic method tries.

    Returns:
        Sizes in tenths of a pixel, by level and area.

    Raises:
        ConfigError: There are no boxes, or too few different ones.
    """
    if method not in ("kmeans", "genetic"):
        raise ConfigError(f"method is {method!r}; valid: 'kmeans', 'genetic'")
    if num_anchors < 1:
        raise ConfigError(f"{num_anchors} anchors on each level; expected at least 1")
    shapes = kmeans(boxes[:, 2:] - boxes[:, :2], num_anchors * len(strides), seed)
    shapes = _by_area(shapes).view(len(strides), num_anchors, 2)
    if method == "genetic":
        shapes = evolve(boxes, shapes, strides, center_offset, generations, seed)
    tenths = [[(round(max(w, 0.1), 1), round(max(h, 0.1), 1)) for w, h in level] for level in shapes.tolist()]
    return [sorted(level, key=lambda size: (size[0] * size[1], size)) for level in tenths]


def coverage(boxes: Tensor, shapes, strides: Sequence[int], center_offset: float, iou: float = 0.5) -> Coverage:
    """Measure :class:`Coverage` with every box at its place and the anchors at theirs.

    Args:
        boxes: (B, 4) xyxy in pixels.
        shapes: For each level (P, 2) widths and heights.
        strides, center_offset: Where anchors stand.
        iou: Overlap that counts as recall.
    """
    best = best_iou(boxes, [torch.as_tensor(level, dtype=torch.float32) for level in shapes], strides, center_offset)
    return Coverage((best >= iou).double().mean().item(), best.double().mean().item())


def best_iou(boxes: Tensor, shapes: Sequence[Tensor], strides: Sequence[int], center_offset: float) -> Tensor:
    """Compute the IoU of each box with its best anchor, (B,).

    Of the anchors of one size, the one whose centre is nearest is best. That it may lie outside of
    the image, where there are no cells, is not considered.
    """
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    best = boxes.new_zeros(len(boxes))
    for shape, stride in zip(shapes, strides, strict=True):
        away = center / stride - center_offset
        away = (away - away.round()).abs() * stride  # (B, 2) from the nearest cell's centre
        best = torch.maximum(best, _iou(size[:, None], shape, away[:, None]).amax(dim=1))
    return best


def kmeans(sizes: Tensor, count: int, seed: int = 0, max_rounds: int = 300) -> Tensor:
    """Cluster sizes by the distance 1 - IoU of boxes at one centre (YOLO9000, Redmon and Farhadi, CVPR 2017, sec. 2).

    It begins as k-means++ does (Arthur and Vassilvitskii, SODA 2007).

    Args:
        sizes: (B, 2) widths and heights.
        count: Clusters.
        seed: Of the first centres.
        max_rounds: Rounds after which it ends even if boxes still change their clusters.

    Returns:
        (count, 2) mean size of each cluster.
    """
    sizes = sizes.double()
    distinct = len(sizes.unique(dim=0))
    if distinct < count:
        raise ConfigError(
            f"{len(sizes)} boxes of {distinct} different sizes are too few for {count} anchors; "
            "lower --num-anchors, or use more images"
        )
    generator = torch.Generator().manual_seed(seed)
    centers = sizes[torch.randint(len(sizes), (1,), generator=generator)]
    for _ in range(count - 1):
        distance = (1 - _iou(sizes[:, None], centers).amax(dim=1)).clamp(min=0)
        # Rounding may leave a tiny distance to a size that is a centre already.
        distance[(sizes[:, None] == centers).all(dim=2).any(dim=1)] = 0
        centers = torch.cat([centers, sizes[torch.multinomial(distance**2, 1, generator=generator)]])
    cluster = None
    for _ in range(max_rounds):
        iou = _iou(sizes[:, None], centers)  # (B, count)
        best, nearest = iou.max(dim=1)
        for empty in (nearest.bincount(minlength=count) == 0).nonzero().flatten().tolist():
            worst = best.argmin()  # it starts again at the box that is covered worst
            nearest[worst], best[worst] = empty, 1
        if cluster is not None and torch.equal(nearest, cluster):
            break
        cluster = nearest
        number = cluster.bincount(minlength=count).clamp(min=1)
        centers = torch.zeros_like(centers).index_add(0, cluster, sizes) / number[:, None]
    return centers.float()


def evolve(
    boxes: Tensor, shapes: Tensor, strides: Sequence[int], center_offset: float, generations: int, seed: int = 0
) -> Tensor:
    """Mutate sizes and keep what raises the mean best IoU, with anchors where their level has them.

    K-means knows nothing of levels: where cells are far apart, the size that fits best at the box's
    centre may fit badly at the nearest cell's. The smallest P sizes stay on the first level, and so
    on. (YOLOv5 refines the anchors of k-means by mutations too.)

    Args:
        boxes: (B, 4) xyxy.
        shapes: (L, P, 2) to begin with.
        strides, center_offset: Where anchors stand.
        generations: Mutations tried.
        seed: Of the mutations.

    Returns:
        (L, P, 2).
    """
    generator = torch.Generator().manual_seed(seed)
    sides = boxes[:, 2:] - boxes[:, :2]
    least, most = sides.amin(dim=0), sides.amax(dim=0)
    best = best_iou(boxes, list(shapes), strides, center_offset).mean()
    for _ in range(generations):
        # About three anchors change, each side by a fifth or so: with more, hardly a mutant is better.
        changes = torch.rand(*shapes.shape[:2], 1, generator=generator) < 3 / shapes[..., 0].numel()
        factor = torch.exp(0.2 * torch.randn(shapes.shape, generator=generator) * changes)
        mutant = _by_area((shapes * factor).clamp(least, most).flatten(0, 1)).view_as(shapes)
        fitness = best_iou(boxes, list(mutant), strides, center_offset).mean()
        if fitness > best:
            best, shapes = fitness, mutant
    return shapes


def write_config(
    path: str | Path, base: str | Path, sizes: Sizes, center_offset: float, comment: Sequence[str]
) -> None:
    """Write a config that inherits ``base`` and has anchors of these ``sizes``.

    Args:
        path: The file to write.
        base: The config to inherit.
        sizes: As :func:`fit_anchors` returns them.
        center_offset: As the anchor generator's of ``base``.
        comment: Lines to begin with.

    Raises:
        ConfigError: ``path`` is ``base`` itself.
    """
    path = Path(path)
    if path.resolve() == Path(base).resolve():
        raise ConfigError(f"{path} is the config to inherit; write to another file")
    inherited = Path(os.path.relpath(base, path.parent)).as_posix()
    offset = f"center_offset={center_offset!r}, " if center_offset else ""
    lines = [
        *(f"# {line}" for line in comment),
        f'_base_ = "{inherited}"',
        f'model = dict(anchor_generator=dict(_delete_=True, type="FittedAnchorGenerator", {offset}sizes=[',
        *(f"    [{', '.join(f'({w:g}, {h:g})' for w, h in level)}]," for level in sizes),
        "]))",
    ]
    write_text(path, "\n".join(lines) + "\n")


def _by_area(shapes: Tensor) -> Tensor:
    """Sort sizes (n, 2) by area."""
    return shapes[shapes.prod(dim=1).argsort(stable=True)]


def _iou(size: Tensor, other: Tensor, away: Tensor | float = 0.0) -> Tensor:
    """Compute the IoU (...) of sizes (..., 2) whose centres are ``away`` (..., 2) from each other; they broadcast."""
    overlap = torch.minimum(torch.minimum(size, other), ((size + other) / 2 - away).clamp(min=0)).prod(dim=-1)
    return overlap / (size.prod(dim=-1) + other.prod(dim=-1) - overlap)
