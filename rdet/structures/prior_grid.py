"""Where priors lie, told by their grids."""

from typing import NamedTuple

import numpy as np


class PriorGrid(NamedTuple):
    """The same box repeated over the cells of a level, for each of R = levels * priors of a cell such boxes.

    What a box overlaps can be read from it without a look at each prior. It lives on the host. Prior
    ``r`` of row ``j`` and column ``i`` has its centre at ``center[r] + (i, j) * step[r]``, up to
    rounding, and stands at ``start[r] + (j * columns + i) * num_priors`` among all A priors.

    Attributes:
        priors: (A, 4) float32 xyxy, all of them.
        center: (R, 2) float32, centre of the prior of the first cell, x and y.
        size: (R, 2) float32, width and height.
        step: (R, 2) float32, pixels from one cell to the next, x and y.
        cells: (R, 2) int64, columns and rows.
        start: (R,) int64, where the first prior stands.
        num_priors: Priors of a cell.
    """

    priors: np.ndarray
    center: np.ndarray
    size: np.ndarray
    step: np.ndarray
    cells: np.ndarray
    start: np.ndarray
    num_priors: int
