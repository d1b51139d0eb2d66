"""Which priors on a grid a box overlaps, worked out on the host.

There are few such pairs, some 50 for a box, so that arrays of them are small: the device would wait
longer for its kernels to start than the host needs for all of it.
"""

import numpy as np

from rdet.structures.prior_grid import PriorGrid


def grid_pairs(
    boxes: np.ndarray, grid: PriorGrid, min_iou: float, cells: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs of a box and a prior that can match; their number does not grow with that of the priors.

    An IoU of t asks for t / (1 + t) of both areas to be common, so for each of the R shapes of the
    grid a box can reach it only in a rectangle of cells. For one shape, the IoU is highest in the
    cell next to the box's centre, which gives each box's highest IoU without a search.

    Args:
        boxes: (G, 4) float32 xyxy.
        grid: How the priors lie.
        min_iou: Smallest IoU at which a pair can match.
        cells: (G, R, 2) columns and rows in which each box may have priors, from the first on; None: all.

    Returns:
        Index of the box (E,) and of the prior (E,): all pairs whose IoU is at least ``min_iou``, all
        pairs of each box's highest IoU if that is above 0, and some others. By box.
    """
    first, count = _rectangles(boxes, grid, min_iou, grid.cells if cells is None else cells)
    first, count = first.reshape(-1, 2), count.reshape(-1, 2)  # (GR, 2)
    size = count.prod(axis=1)
    rectangle = np.repeat(np.arange(len(size)), size)  # (E,)
    cell = np.arange(len(rectangle)) - (size.cumsum() - size)[rectangle]  # of its rectangle
    row, column = np.divmod(cell, count[rectangle, 0])
    box, shape = np.divmod(rectangle, len(grid.start))
    row, column = row + first[rectangle, 1], column + first[rectangle, 0]
    return box, grid.start[shape] + (row * grid.cells[shape, 0] + column) * grid.stride[shape]


def _rectangles(boxes: np.ndarray, grid: PriorGrid, min_iou: float, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the cells that each box can match: first column and row, and how many of each; (G, R, 2) int64 twice."""
    box_size = (boxes[:, 2:] - boxes[:, :2])[:, None]  # (G, 1, 2)
    box_center = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    center = (box_center - grid.center) / grid.step  # (G, R, 2) in cells from the first
    smaller, middle = np.minimum(grid.size, box_size), (grid.size + box_size) / 2  # (G, R, 2)
    areas = grid.size.prod(axis=-1) + box_size.prod(axis=-1)  # (G, R)

    nearest = center.round().clip(0, cells - 1)
    side = np.minimum(smaller, middle - abs(center - nearest) * grid.step).clip(min=0)
    common = side.prod(axis=-1)
    highest = (common / (areas - common)).max(axis=1, keepdims=True)  # (G, 1)
    # A little less, for rounding.
    iou = highest.clip(max=min_iou) * np.float32(0.999)
    with np.errstate(divide="ignore", invalid="ignore"):  # a box without a side overlaps nothing
        needed = (iou / (1 + iou) * areas)[..., None] / smaller[..., ::-1]  # (G, R, 2) of the common sides, at least
    possible = (needed <= smaller).all(axis=-1, keepdims=True)
    reach = np.where(possible, (middle - needed) / grid.step + np.float32(0.01), -1)
    first = np.ceil(center - reach).clip(0, cells)
    last = np.floor(center + reach).clip(-1, cells - 1)
    return first.astype(np.int64), (last - first + 1).clip(min=0).astype(np.int64)


def paired_iou_on_host(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the IoU of boxes in pairs, (..., 4) and (..., 4) -> (...), bitwise as :mod:`rdet.structures.boxes`."""
    overlap = (np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])).clip(min=0)
    intersection = overlap[..., 0] * overlap[..., 1]
    areas = _area(first) + _area(second)
    iou: np.ndarray = intersection / (areas - intersection).clip(min=np.finfo(np.float32).eps)
    return iou


def _area(boxes: np.ndarray) -> np.ndarray:
    sides = (boxes[..., 2:] - boxes[..., :2]).clip(min=0)
    area: np.ndarray = sides[..., 0] * sides[..., 1]
    return area
