"""Where priors lie, described by their grids."""

from typing import NamedTuple

import numpy as np


class PriorGrid(NamedTuple):
    """Priors as R boxes, those of one cell of each level, which repeat over the cells of their level.

    The priors that a box overlaps follow from it without a look at each prior. It lives on the host.
    Prior ``r`` of row ``j`` and column ``i`` has its centre at ``center[r] + (i, j) * step[r]``, up to
    rounding, and stands at ``start[r] + (j * columns + i) * stride[r]`` among all A priors.

    Attributes:
        priors: (A, 4) float32 xyxy, all of them.
        center: (R, 2) float32, centre of the prior of the first cell, x and y.
        size: (R, 2) float32, width and height.
        step: (R, 2) float32, pixels from one cell to the next, x and y.
        cells: (R, 2) int64, columns and rows.
        start: (R,) int64, where the first prior stands.
        stride: (R,) int64, priors at a cell of the level.
    """

    priors: np.ndarray
    center: np.ndarray
    size: np.ndarray
    step: np.ndarray
    cells: np.ndarray
    start: np.ndarray
    stride: np.ndarray

    def cells_within(self, size: tuple[int, int]) -> np.ndarray:
        """Count the cells that an image of ``size`` (height, width) reaches: (R, 2) int64, columns and rows."""
        reached = np.ceil(np.array(size[::-1]) / self.step).astype(np.int64)
        cells: np.ndarray = np.minimum(reached, self.cells)
        return cells

    def priors_within(self, size: tuple[int, int]) -> np.ndarray | None:
        """Find the priors of the cells that an image of ``size`` reaches: (A',) int64, sorted; None if all are."""
        reached = self.cells_within(size)
        if np.array_equal(reached, self.cells):
            return None
        found = [
            start + stride * (np.arange(rows)[:, None] * columns_of_all + np.arange(columns)).flatten()
            for start, stride, (columns, rows), columns_of_all in zip(
                self.start, self.stride, reached, self.cells[:, 0], strict=True
            )
        ]
        return np.sort(np.concatenate(found))
